/* SPDX-License-Identifier: MIT */
#include "drivers/schedule.h"

#include "tests/lib/test.h"

enum { MS = 1000 };

static bool all_ready(void *ctx, size_t device)
{
	(void)ctx;
	(void)device;
	return true;
}

static bool not_this_one(void *ctx, size_t device)
{
	return device != *(size_t *)ctx;
}

/* Runs for span_us of made-up time, each job taking cost_us; counts the runs of each. */
static void simulate(struct schedule *s, int64_t cost_us, int64_t span_us, unsigned *runs)
{
	int64_t now_us = 0;

	schedule_now(s, SIZE_MAX, 0);
	while (now_us < span_us) {
		struct job *j = schedule_next(s, all_ready, NULL, now_us);
		bool alone;

		if (j->due_us > now_us) {
			now_us = j->due_us;
			continue;
		}
		alone = schedule_late(s, all_ready, NULL, now_us) <= 1;
		now_us += cost_us;
		runs[j->what]++;
		schedule_begin(j, now_us);
		schedule_done(j, now_us, alone);
	}
}

static void each_job_runs_at_its_own_rate(void **state)
{
	struct schedule s = {0};
	unsigned runs[3] = {0};

	(void)state;
	schedule_add(&s, 0, 0, 100 * MS);
	schedule_add(&s, 1, 1, 250 * MS);
	schedule_add(&s, 2, 2, 1000 * MS);
	simulate(&s, 10 * MS, 10000 * MS, runs);
	assert_in_range(runs[0], 99, 101);
	assert_in_range(runs[1], 39, 41);
	assert_in_range(runs[2], 9, 11);
	assert_int_equal(s.stretched_us, 0);
	schedule_fini(&s);
}

/* 4 x what the line can do: each gets a quarter of its rate, the slow ones too. */
static void overload_slows_all_by_the_same_ratio(void **state)
{
	static const int64_t period_ms[] = {50, 50, 100, 200, 200};
	struct schedule s = {0};
	unsigned runs[5] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(period_ms); i++)
		schedule_add(&s, i, i, period_ms[i] * MS);
	simulate(&s, 67 * MS, 60000 * MS, runs); /* asked: 60 a second, possible: 15 */
	for (size_t i = 0; i < COUNT(period_ms); i++) {
		double share = (double)runs[i] * (double)period_ms[i] / 60000;

		if (share < 0.25 * 0.9 || share > 0.25 * 1.1)
			fail_msg("job %zu: %u runs, %.3f of its rate", i, runs[i], share);
	}
	assert_true(s.stretched_us > 40000 * MS);
	schedule_fini(&s);
}

/* At four times what is possible the fair age of a point is four times its period. */
static void overload_keeps_every_age_near_its_fair_share(void **state)
{
	enum { DEVICES = 4 };
	static const int64_t period_ms[] = {50, 50, 100, 200, 200, 1000, 5000};
	struct schedule s = {0};
	int64_t ran_us[DEVICES * COUNT(period_ms)] = {0}, now_us = 0;
	bool late[DEVICES * COUNT(period_ms)] = {false};

	(void)state;
	for (size_t i = 0; i < COUNT(late); i++)
		schedule_add(&s, i, i, period_ms[i % COUNT(period_ms)] * MS);
	schedule_now(&s, SIZE_MAX, 0);
	for (; now_us < 300000 * MS; now_us += 16 * MS) {
		struct job *j = schedule_next(&s, all_ready, NULL, now_us);
		int64_t fair_us = 4 * j->period_us;

		late[j->device] = schedule_begin(j, now_us);
		/* The first seconds are those in which the overload is found out. */
		if (now_us > 60000 * MS && now_us - ran_us[j->device] > fair_us + fair_us / 2)
			fail_msg("job %zu: %jd us after the last time", j->device,
				(intmax_t)(now_us - ran_us[j->device]));
		ran_us[j->device] = now_us;
		schedule_done(j, now_us, false);
	}
	for (size_t i = 0; i < COUNT(late); i++)
		assert_true(late[i]);
	schedule_fini(&s);
}

static void job_is_late_the_second_time_and_not_when_it_is_in_time_again(void **state)
{
	struct job j = {.period_us = 100 * MS};

	(void)state;
	assert_false(schedule_begin(&j, 1000 * MS));
	assert_false(schedule_begin(&j, 1200 * MS));
	assert_true(schedule_begin(&j, 1400 * MS));
	assert_false(schedule_begin(&j, 1540 * MS));
	assert_false(schedule_begin(&j, 1800 * MS));
}

static void overload_leaves_no_backlog_behind(void **state)
{
	struct schedule s = {0};
	struct job *j;

	(void)state;
	schedule_add(&s, 0, 0, 10 * MS);
	schedule_now(&s, SIZE_MAX, 0);
	j = schedule_next(&s, all_ready, NULL, 1000000 * MS);
	schedule_done(j, 1000000 * MS, true);
	assert_true(j->due_us >= 1000000 * MS - 10 * MS);
	schedule_fini(&s);
}

static void job_of_a_device_that_is_not_ready_waits(void **state)
{
	struct schedule s = {0};
	size_t out = 0;

	(void)state;
	schedule_add(&s, 0, 0, 10 * MS);
	schedule_add(&s, 1, 1, 1000 * MS);
	schedule_now(&s, SIZE_MAX, 5);
	assert_int_equal(schedule_next(&s, not_this_one, &out, 100 * MS)->what, 1);
	assert_int_equal(schedule_late(&s, not_this_one, &out, 100 * MS), 1);
	assert_int_equal(schedule_others_us(&s, 0), 5);
	assert_int_equal(schedule_others_us(&s, 1), INT64_MAX);
	out = 1;
	assert_int_equal(schedule_next(&s, not_this_one, &out, 100 * MS)->what, 0);
	schedule_fini(&s);
}

/* Job 0 has not run for long, and is wanted at once while the others are asked for ten times what is possible. */
static void device_that_is_back_goes_first_in_overload(void **state)
{
	struct schedule s = {0};
	size_t away = 0;
	int64_t now_us = 0;
	struct job *j;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(schedule_add(&s, i, i, 10 * MS), 0);
	schedule_now(&s, SIZE_MAX, 0);
	for (; now_us < 10000 * MS; now_us += 30 * MS) {
		j = schedule_next(&s, not_this_one, &away, now_us);
		schedule_begin(j, now_us);
		schedule_done(j, now_us, false);
	}
	schedule_now(&s, 0, now_us);
	j = schedule_next(&s, all_ready, NULL, now_us);
	assert_int_equal(j->device, 0);
	schedule_fini(&s);
}

/* Two rounds of three jobs that are all late: the device that failed runs once in each, behind the others. */
static void failed_device_goes_behind_all_that_wait(void **state)
{
	struct schedule s = {0};
	size_t order[6];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(schedule_add(&s, i, i, 10), 0);
	schedule_now(&s, SIZE_MAX, 0);
	for (size_t i = 0; i < 6; i++) {
		int64_t now_us = 1000 * MS + (int64_t)i * 10 * MS;
		struct job *j = schedule_next(&s, all_ready, NULL, now_us);

		order[i] = j->device;
		schedule_begin(j, now_us);
		schedule_done(j, now_us, false);
		if (j->device == 0)
			schedule_last(&s, 0, now_us);
	}
	assert_int_equal(order[0], 0);
	assert_int_not_equal(order[1], 0);
	assert_int_not_equal(order[2], 0);
	assert_int_equal((order[3] == 0) + (order[4] == 0) + (order[5] == 0), 1);
	schedule_fini(&s);
}

/* A line with time to spare: `away` are not asked from from_us on, one of them again from back_us on, as told by `told`
 * or only by being ready. The longest that a job of the others waits between two runs. */
struct away {
	size_t dead, held;
	int64_t now_us, from_us, back_us;
};

static bool is_not_away(void *ctx, size_t device)
{
	const struct away *a = ctx;

	if (a->now_us < a->from_us)
		return true;
	return device != a->dead && (device != a->held || a->now_us >= a->back_us);
}

static int64_t longest_wait(struct away *a, bool told, int64_t until_us)
{
	struct schedule s = {0};
	int64_t ran_us[4] = {0}, longest_us = 0;

	for (size_t i = 0; i < 16; i++)
		assert_int_equal(schedule_add(&s, i / 4, i, 100 * MS), 0);
	schedule_now(&s, SIZE_MAX, 0);
	for (a->now_us = 0; a->now_us < until_us; a->now_us += 2 * MS) {
		struct job *j = schedule_next(&s, is_not_away, a, a->now_us);

		if (told && a->now_us == a->back_us) {
			schedule_now(&s, a->held, a->now_us);
			j = schedule_next(&s, is_not_away, a, a->now_us);
		}
		if (j->due_us > a->now_us)
			continue;
		if (a->now_us - ran_us[j->device] > longest_us && j->device != a->held)
			longest_us = a->now_us - ran_us[j->device];
		ran_us[j->device] = a->now_us;
		schedule_begin(j, a->now_us);
		schedule_done(j, a->now_us, schedule_late(&s, is_not_away, a, a->now_us) <= 1);
	}
	for (size_t i = 0; i < 4; i++)
		if (i != a->dead)
			assert_true(until_us - ran_us[i] < 200 * MS);
	schedule_fini(&s);
	return longest_us;
}

static void device_that_is_back_costs_others_nothing_while_another_is_away(void **state)
{
	struct away a = {.dead = 0, .held = 1, .from_us = 1000 * MS, .back_us = 600000 * MS};

	(void)state;
	assert_in_range(longest_wait(&a, true, 610000 * MS), 90 * MS, 150 * MS);
}

/* Held for a long reply_timeout, and ready again. */
static void turns_missed_while_held_are_not_made_up(void **state)
{
	struct away a = {.dead = SIZE_MAX, .held = 1, .from_us = 1000 * MS, .back_us = 21000 * MS};

	(void)state;
	assert_in_range(longest_wait(&a, false, 30000 * MS), 90 * MS, 150 * MS);
}

/* The first round takes longer than the slack: a dead device at the start is enough for that. */
static void first_run_does_not_wait_for_a_period(void **state)
{
	struct schedule s = {0};
	int64_t now_us = 0;

	(void)state;
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(schedule_add(&s, i, i, i % 2 ? 3600000 * (int64_t)MS : 1000 * MS), 0);
	schedule_now(&s, SIZE_MAX, 0);
	for (unsigned ran = 0; ran != 0xFFFF;) {
		struct job *j = schedule_next(&s, all_ready, NULL, now_us);

		assert_true(j->due_us <= now_us);
		assert_true(now_us < 10000 * MS);
		now_us += 200 * MS;
		ran |= 1U << j->what;
		schedule_begin(j, now_us);
		schedule_done(j, now_us, false);
	}
	schedule_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_run_does_not_wait_for_a_period),
		cmocka_unit_test(device_that_is_back_costs_others_nothing_while_another_is_away),
		cmocka_unit_test(turns_missed_while_held_are_not_made_up),
		cmocka_unit_test(failed_device_goes_behind_all_that_wait),
		cmocka_unit_test(device_that_is_back_goes_first_in_overload),
		cmocka_unit_test(each_job_runs_at_its_own_rate),
		cmocka_unit_test(overload_slows_all_by_the_same_ratio),
		cmocka_unit_test(overload_keeps_every_age_near_its_fair_share),
		cmocka_unit_test(job_is_late_the_second_time_and_not_when_it_is_in_time_again),
		cmocka_unit_test(overload_leaves_no_backlog_behind),
		cmocka_unit_test(job_of_a_device_that_is_not_ready_waits),
	};

	return cmocka_run_group_tests_name("drivers/schedule", tests, NULL, NULL);
}
