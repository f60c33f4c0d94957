/* SPDX-License-Identifier: MIT */
#include "drivers/device.h"

#include "tests/lib/test.h"

enum { MS = 1000 };

static struct device fresh(void)
{
	struct device d;

	device_init(&d, 500 * MS, 3, 500 * MS, 30000 * MS);
	return d;
}

static const struct {
	const char *name;
	enum device_event events[6];
	size_t count;
	enum device_state want;
} walks[] = {
	{"an answer brings it up", {DEVICE_ANSWERED}, 1, DEVICE_UP},
	{"one silence is not the end", {DEVICE_ANSWERED, DEVICE_SILENT}, 2, DEVICE_RETRYING},
	{"three in a row are", {DEVICE_SILENT, DEVICE_GARBLED, DEVICE_SILENT}, 3, DEVICE_OFFLINE},
	{"an answer between them counts anew", {DEVICE_SILENT, DEVICE_SILENT, DEVICE_ANSWERED, DEVICE_SILENT}, 4,
		DEVICE_RETRYING},
	{"a probe is under way", {DEVICE_SILENT, DEVICE_SILENT, DEVICE_SILENT, DEVICE_PROBE}, 4, DEVICE_PROBING},
	{"a probe that fails", {DEVICE_SILENT, DEVICE_SILENT, DEVICE_SILENT, DEVICE_PROBE, DEVICE_SILENT}, 5,
		DEVICE_OFFLINE},
	{"its first answer brings it back",
		{DEVICE_SILENT, DEVICE_SILENT, DEVICE_SILENT, DEVICE_PROBE, DEVICE_ANSWERED}, 5, DEVICE_UP},
	{"a port that goes forgets", {DEVICE_SILENT, DEVICE_SILENT, DEVICE_SILENT, DEVICE_PORT_GONE}, 4,
		DEVICE_UNKNOWN},
};

static void events_lead_from_state_to_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(walks); i++) {
		struct device d = fresh();

		for (size_t k = 0; k < walks[i].count; k++)
			device_step(&d, walks[i].events[k], 0, 0);
		ROW(walks[i].name, d.state == walks[i].want);
		ROW(walks[i].name, d.unexpected == 0);
	}
}

static void unforeseen_event_is_counted_and_survived(void **state)
{
	struct device d = fresh();

	(void)state;
	assert_false(device_step(&d, DEVICE_PROBE, 0, 0));
	assert_int_equal(d.state, DEVICE_UNKNOWN);
	assert_int_equal(d.unexpected, 1);
}

static void silence_holds_the_device_until_a_late_reply_has_passed(void **state)
{
	struct device d = fresh();

	(void)state;
	device_step(&d, DEVICE_SILENT, 1000 * MS, 0);
	assert_false(device_ready(&d, 1999 * MS));
	assert_true(device_ready(&d, 2000 * MS));
}

static void probes_grow_rarer_up_to_the_limit(void **state)
{
	struct device d = fresh();
	int64_t now_us = 0, longest_us = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		device_step(&d, DEVICE_SILENT, now_us, 0);
	for (int i = 0; i < 20; i++) {
		int64_t wait_us = d.probe_due_us - now_us;

		assert_true(wait_us >= 250 * MS && wait_us <= 30000 * MS);
		longest_us = wait_us > longest_us ? wait_us : longest_us;
		now_us = d.probe_due_us > d.held_until_us ? d.probe_due_us : d.held_until_us;
		assert_true(device_wants_probe(&d, now_us));
		device_step(&d, DEVICE_PROBE, now_us, 0);
		device_step(&d, DEVICE_SILENT, now_us, UINT32_MAX);
	}
	assert_true(longest_us >= 15000 * MS);
}

/* What more than that would save is nothing; but probe_min and probe_max hold. */
static void probes_grow_no_rarer_than_their_cost_asks_for(void **state)
{
	static const struct {
		int64_t most_us, want_us;
	} cases[] = {{1100 * MS, 1100 * MS}, {100 * MS, 500 * MS}, {40000 * MS, 30000 * MS}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct device d = fresh();

		d.probe_most_us = cases[i].most_us;
		for (int k = 0; k < 3; k++)
			device_step(&d, DEVICE_SILENT, 0, 0);
		for (int k = 0; k < 10; k++) {
			device_step(&d, DEVICE_PROBE, 0, 0);
			device_step(&d, DEVICE_SILENT, 0, 0);
			assert_true(d.probe_wait_us <= cases[i].want_us);
		}
		assert_int_equal(d.probe_wait_us, cases[i].want_us);
	}
}

/* Its answer came when it was waited for no longer: it is asked again at once, and waited for as long as may be. */
static void late_answer_shows_that_it_is_there(void **state)
{
	struct device d = fresh();
	struct pace others = {0};
	int64_t max_us = 500 * MS;

	(void)state;
	for (int i = 0; i < 50; i++)
		pace_learn(&others, 5 * MS);
	for (int i = 0; i < 3; i++)
		device_step(&d, DEVICE_SILENT, 0, 0);
	assert_false(device_wants_probe(&d, 100 * MS));
	device_step(&d, DEVICE_LATE, 100 * MS, 0);
	assert_true(device_wants_probe(&d, 100 * MS));
	device_step(&d, DEVICE_PROBE, 100 * MS, 0);
	assert_int_equal(device_timeout_us(&d, max_us, &others, 0), max_us);
	device_step(&d, DEVICE_ANSWERED, 200 * MS, 0);
	assert_in_range(device_timeout_us(&d, max_us, &others, 0), 15 * MS, 50 * MS);
}

static void timeout_follows_the_pace_of_the_device(void **state)
{
	struct device d = fresh();
	struct pace none = {0}, others = {0};
	int64_t max_us = 500 * MS;

	(void)state;
	assert_int_equal(device_timeout_us(&d, max_us, &none, 0), max_us);
	for (int i = 0; i < 50; i++)
		pace_learn(&others, 5 * MS);
	pace_learn(&d.pace, 5 * MS);
	device_step(&d, DEVICE_ANSWERED, 0, 0);
	assert_in_range(device_timeout_us(&d, max_us, &others, 0), 15 * MS, 30 * MS);
	device_step(&d, DEVICE_SILENT, 0, 0);
	assert_in_range(device_timeout_us(&d, max_us, &others, 0), 8 * MS, 15 * MS);
	device_step(&d, DEVICE_LATE, 0, 0);
	assert_int_equal(device_timeout_us(&d, max_us, &others, 0), max_us);
}

/* A lost reply costs its device a second; waiting costs nobody anything. */
static void reply_is_waited_for_until_another_device_is_due(void **state)
{
	struct device d = fresh();
	struct pace others = {0};
	int64_t max_us = 500 * MS;

	(void)state;
	for (int i = 0; i < 50; i++) {
		pace_learn(&others, 5 * MS);
		pace_learn(&d.pace, 5 * MS);
	}
	device_step(&d, DEVICE_ANSWERED, 0, 0);
	assert_in_range(device_timeout_us(&d, max_us, &others, -100 * MS), 15 * MS, 30 * MS);
	assert_int_equal(device_timeout_us(&d, max_us, &others, 200 * MS), 200 * MS);
	assert_int_equal(device_timeout_us(&d, max_us, &others, INT64_MAX), max_us);
	device_step(&d, DEVICE_SILENT, 0, 0);
	assert_int_equal(device_timeout_us(&d, max_us, &others, 200 * MS), 200 * MS);
}

static void slow_reply_is_waited_for_from_then_on(void **state)
{
	struct pace p = {0};

	(void)state;
	for (int i = 0; i < 50; i++)
		pace_learn(&p, 5 * MS);
	pace_learn(&p, 200 * MS);
	for (int i = 0; i < 30; i++)
		pace_learn(&p, 5 * MS);
	assert_true(pace_patience_us(&p, &p) >= 200 * MS);
}

static void one_reply_that_is_late_does_not_change_what_is_usual(void **state)
{
	struct pace p = {0};

	(void)state;
	for (int i = 0; i < 50; i++)
		pace_learn(&p, i % 2 ? 5 * MS : 6 * MS);
	pace_learn(&p, 300 * MS);
	assert_in_range(p.usual_us, 4500, 7000);
	for (int i = 0; i < 100; i++)
		pace_learn(&p, 20 * MS);
	assert_in_range(p.usual_us, 19 * MS, 21 * MS);
}

/* It is given what its neighbours need; now and then more, since it may be slower than they are, or than it was. */
static void device_that_never_answered_is_judged_by_its_neighbours(void **state)
{
	struct device d = fresh();
	struct pace others = {0};
	int64_t max_us = 500 * MS, usual_us, sum_us = 0;
	int longest = 0;

	(void)state;
	for (int i = 0; i < 50; i++)
		pace_learn(&others, 5 * MS);
	assert_in_range(device_timeout_us(&d, max_us, &others, 0), 40 * MS, 150 * MS);
	for (int i = 0; i < 3; i++)
		device_step(&d, DEVICE_SILENT, 0, 0);
	usual_us = device_probe_us(&d, max_us, &others);
	assert_in_range(usual_us, 8 * MS, 15 * MS);
	for (int i = 0; i < 512; i++) {
		int64_t us;

		device_step(&d, DEVICE_PROBE, 0, 0);
		us = device_timeout_us(&d, max_us, &others, 0);
		sum_us += us;
		longest += us == max_us;
		device_step(&d, DEVICE_SILENT, 0, 0);
	}
	assert_int_equal(longest, 1);
	assert_true(sum_us < 512 * usual_us * 3 / 2);
}

static void probe_in_idle_time_is_now_and_then_as_long_as_may_be(void **state)
{
	struct device d = fresh();
	struct pace others = {0};
	int64_t max_us = 500 * MS;
	int longest = 0;

	(void)state;
	for (int i = 0; i < 50; i++)
		pace_learn(&others, 5 * MS);
	for (int i = 0; i < 3; i++)
		device_step(&d, DEVICE_SILENT, 0, 0);
	for (int i = 0; i < 8 * DEVICE_IDLE_PATIENT; i++) {
		device_step(&d, DEVICE_PROBE, 0, 0);
		longest += device_timeout_us(&d, max_us, &others, max_us) == max_us;
		device_step(&d, DEVICE_SILENT, 0, 0);
	}
	assert_int_equal(longest, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_lead_from_state_to_state),
		cmocka_unit_test(unforeseen_event_is_counted_and_survived),
		cmocka_unit_test(reply_is_waited_for_until_another_device_is_due),
		cmocka_unit_test(silence_holds_the_device_until_a_late_reply_has_passed),
		cmocka_unit_test(probes_grow_rarer_up_to_the_limit),
		cmocka_unit_test(probes_grow_no_rarer_than_their_cost_asks_for),
		cmocka_unit_test(late_answer_shows_that_it_is_there),
		cmocka_unit_test(timeout_follows_the_pace_of_the_device),
		cmocka_unit_test(slow_reply_is_waited_for_from_then_on),
		cmocka_unit_test(one_reply_that_is_late_does_not_change_what_is_usual),
		cmocka_unit_test(device_that_never_answered_is_judged_by_its_neighbours),
		cmocka_unit_test(probe_in_idle_time_is_now_and_then_as_long_as_may_be),
	};

	return cmocka_run_group_tests_name("drivers/device", tests, NULL, NULL);
}
