/* SPDX-License-Identifier: MIT */
#include "bridge/gate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { MINUTE = 60000, HOUR = 60 * MINUTE };
static const int64_t day = INT64_C(24) * HOUR;
static const int64_t midnight = INT64_C(20000) * 24 * HOUR; /* of a day, UTC */

struct bench {
	struct clock clock;
	int64_t wall_ms, now_ms;
	struct bridge_opts opts;
	struct gate gate;
	int64_t kept_day, kept_bytes;
	int keeps, keep_result;
};

static int64_t wall(const struct clock *c)
{
	return ((const struct bench *)c)->wall_ms; /* clock is its first member */
}

static int keep(void *ctx, int64_t kept_day, int64_t bytes)
{
	struct bench *b = ctx;

	b->keeps++;
	if (b->keep_result < 0)
		return b->keep_result;
	b->kept_day = kept_day;
	b->kept_bytes = bytes;
	return 0;
}

static void begin(struct bench *b)
{
	struct gate_meter meter = {b, keep, b->kept_day, b->kept_bytes};

	b->clock.wall_ms = wall;
	b->opts.head.name = "up";
	b->opts.time_zone = BRIDGE_UTC;
	assert_int_equal(gate_init(&b->gate, &b->opts, &b->clock, &meter), 0);
}

static bool open_at(struct bench *b, int64_t wall_ms)
{
	int64_t due_ms;

	b->now_ms += wall_ms > b->wall_ms ? wall_ms - b->wall_ms : MINUTE;
	b->wall_ms = wall_ms;
	return gate_open(&b->gate, b->now_ms, &due_ms);
}

static void what_is_a_schedule(void **state)
{
	static const char *const wrong[] = {"", "22:00", "22:00-", "22:00-22:00", "24:00-01:00", "00:00-24:00",
		"1:00-2:00", "22:60-23:00", "22:00-24:01", "22:00-06:00,", "22:00-06:00 x", "22:00 - 06:00",
		"01:00-02:00,03:00-04:00,05:00-06:00,07:00-08:00,09:00-10:00,11:00-12:00,13:00-14:00,15:00-16:00,"
		"17:00-18:00"};
	struct gate_span s[GATE_SPANS];

	(void)state;
	assert_int_equal(gate_parse("22:00-06:00", s), 1);
	assert_true(s[0].from == 22 * 60 && s[0].to == 6 * 60);
	assert_int_equal(gate_parse(" 22:00-24:00 , 00:00-06:30", s), 2);
	assert_true(s[1].from == 0 && s[1].to == 390);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (gate_parse(wrong[i], s) != -EINVAL)
			fail_msg("\"%s\" is no schedule", wrong[i]);
}

static void schedule_over_midnight_is_open_at_its_hours_to_the_minute(void **state)
{
	struct bench b = {.opts = {.schedule = "22:00-06:00"}};

	(void)state;
	begin(&b);
	assert_false(open_at(&b, midnight + 22 * HOUR - 1));
	assert_true(open_at(&b, midnight + 22 * HOUR));
	assert_true(open_at(&b, midnight + day + 6 * HOUR - 1));
	assert_false(open_at(&b, midnight + day + 6 * HOUR));
}

static void hours_are_local_where_it_says_so(void **state)
{
	struct bench b = {.opts = {.schedule = "12:00-13:00"}};

	(void)state;
	setenv("TZ", "EST-5", 1); /* five hours east */
	tzset();
	begin(&b);
	b.opts.time_zone = BRIDGE_LOCAL_TIME;
	assert_false(open_at(&b, midnight + 12 * HOUR));
	assert_true(open_at(&b, midnight + day + 7 * HOUR));
	unsetenv("TZ");
	tzset();
}

/* Minutes that it is open within three days from then. */
static int open_minutes(const char *schedule, int64_t from_ms)
{
	struct bench b = {.opts = {.schedule = schedule}};
	int n = 0;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	begin(&b);
	b.opts.time_zone = BRIDGE_LOCAL_TIME;
	for (int64_t at = from_ms; at < from_ms + 3 * day; at += MINUTE)
		n += open_at(&b, at);
	unsetenv("TZ");
	tzset();
	return n;
}

static void hours_follow_the_change_to_summer_time_and_back(void **state)
{
	const int64_t march_29 = INT64_C(1743202800000), october_25 = INT64_C(1761343200000); /* 2025, local midnight */

	(void)state;
	assert_int_equal(
		open_minutes("22:00-06:00", march_29), (3 * 8 - 1) * 60 + 60); /* and into the 1st, 00:00 to 01:00 */
	assert_int_equal(open_minutes("22:00-06:00", october_25), (3 * 8 + 1) * 60 - 60);
	assert_int_equal(open_minutes("02:15-02:45", march_29), 2 * 30);   /* there is no such time on the 30th, */
	assert_int_equal(open_minutes("02:15-02:45", october_25), 4 * 30); /* and it comes twice on the 26th */
}

static void a_day_of_bytes_is_a_local_day_over_that_change(void **state)
{
	const int64_t march_30 = INT64_C(1743289200000); /* 23 hours long */
	struct bench b = {.opts = {.day_bytes = 10000}};

	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	begin(&b);
	b.opts.time_zone = BRIDGE_LOCAL_TIME;
	assert_true(open_at(&b, march_30 + MINUTE));
	gate_spend(&b.gate, 10000);
	for (int64_t at = march_30 + 2 * MINUTE; at < march_30 + 23 * HOUR; at += 10 * MINUTE) {
		open_at(&b, at);
		assert_false(gate_fits(&b.gate, 1));
	}
	open_at(&b, march_30 + 23 * HOUR);
	assert_true(gate_fits(&b.gate, 10000));
	unsetenv("TZ");
	tzset();
}

static void it_says_when_to_look_again(void **state)
{
	struct bench b = {.opts = {.schedule = "22:00-06:00"}};
	int64_t due_ms = 0;

	(void)state;
	begin(&b);
	b.wall_ms = midnight + 22 * HOUR - 10;
	b.now_ms = 1000;
	assert_false(gate_open(&b.gate, b.now_ms, &due_ms));
	assert_int_equal(due_ms, 1010);
}

static void a_day_takes_its_bytes_and_not_one_more(void **state)
{
	struct bench b = {.opts = {.day_bytes = 10000}};

	(void)state;
	begin(&b);
	assert_true(open_at(&b, midnight + HOUR));
	for (int i = 0; i < 9; i++) {
		assert_true(gate_fits(&b.gate, 1000));
		gate_spend(&b.gate, 1000);
	}
	assert_true(gate_fits(&b.gate, 1000));
	assert_false(gate_fits(&b.gate, 1001));
	assert_false(open_at(&b, midnight + 2 * HOUR)); /* order: nothing smaller slips past it */
	assert_true(open_at(&b, midnight + day));
	assert_true(gate_fits(&b.gate, 10000));
}

static void what_was_spent_is_written_down_before_and_survives(void **state)
{
	struct bench b = {.opts = {.day_bytes = 1000000}};

	(void)state;
	begin(&b);
	assert_true(open_at(&b, midnight + HOUR));
	for (int64_t spent = 0; spent < 900000; spent += 500) {
		gate_spend(&b.gate, 500);
		assert_true(b.kept_bytes >= spent + 500);
		assert_true(b.kept_bytes <= spent + 500 + 10000);
	}
	assert_true(b.keeps < 120);
	begin(&b); /* killed */
	assert_true(open_at(&b, midnight + 2 * HOUR));
	assert_false(gate_fits(&b.gate, 100001));
	gate_fini(&b.gate); /* a clean end gives back what was only reserved */
	begin(&b);
	assert_true(open_at(&b, midnight + 3 * HOUR));
	assert_true(gate_fits(&b.gate, 80000));
	assert_true(open_at(&b, midnight + day));
	assert_true(gate_fits(&b.gate, 1000000));
}

static void a_clock_set_back_begins_no_new_day(void **state)
{
	struct bench b = {.opts = {.day_bytes = 10000}};

	(void)state;
	begin(&b);
	assert_true(open_at(&b, midnight + HOUR));
	gate_spend(&b.gate, 10000);
	assert_false(gate_fits(&b.gate, 1));
	assert_true(open_at(&b, midnight - 300 * day)); /* it looks anew ... */
	assert_false(gate_fits(&b.gate, 1));            /* ... and finds it spent */
	assert_true(open_at(&b, midnight - 299 * day)); /* days go on from there */
	assert_true(gate_fits(&b.gate, 10000));
}

/* The clock is set; no time passes but a minute. */
static bool open_set_to(struct bench *b, int64_t wall_ms)
{
	int64_t due_ms;

	b->now_ms += MINUTE;
	b->wall_ms = wall_ms;
	return gate_open(&b->gate, b->now_ms, &due_ms);
}

static void a_clock_set_forward_begins_no_new_day(void **state)
{
	struct bench b = {.opts = {.day_bytes = 10000}};

	(void)state;
	begin(&b);
	assert_true(open_at(&b, midnight + HOUR));
	gate_spend(&b.gate, 10000);
	open_set_to(&b, midnight + 5 * day + 20 * HOUR);
	assert_false(gate_fits(&b.gate, 1));
	open_at(&b, midnight + 6 * day + HOUR); /* that midnight is five hours later */
	assert_false(gate_fits(&b.gate, 1));
	open_at(&b, midnight + 7 * day - MINUTE);
	assert_false(gate_fits(&b.gate, 1));
	open_at(&b, midnight + 7 * day);
	assert_true(gate_fits(&b.gate, 10000));
	gate_spend(&b.gate, 10000);
	open_at(&b, midnight + 8 * day); /* days are days again */
	assert_true(gate_fits(&b.gate, 10000));
}

static void a_clock_set_back_and_forth_gives_no_day_twice(void **state)
{
	struct bench b = {.opts = {.day_bytes = 10000}};

	(void)state;
	begin(&b);
	assert_true(open_at(&b, midnight + HOUR));
	gate_spend(&b.gate, 10000);
	for (int i = 0; i < 10; i++) {
		open_set_to(&b, midnight + (i % 2 ? 1 : -1) * day);
		assert_false(gate_fits(&b.gate, 1));
	}
	begin(&b); /* what it was set to last is what a start knows */
	open_at(&b, midnight + day + HOUR);
	assert_false(gate_fits(&b.gate, 1));
}

static void a_clock_that_is_kept_right_in_small_steps_ends_the_day_at_midnight(void **state)
{
	struct bench b = {.opts = {.day_bytes = 10000}};

	(void)state;
	begin(&b);
	assert_true(open_at(&b, midnight + HOUR));
	gate_spend(&b.gate, 10000);
	open_set_to(&b, midnight + HOUR + 5 * MINUTE);
	open_at(&b, midnight + day);
	assert_true(gate_fits(&b.gate, 10000));
}

static enum clock_state adrift(const struct clock *c)
{
	(void)c;
	return CLOCK_ADRIFT;
}

static enum clock_state synced(const struct clock *c)
{
	(void)c;
	return CLOCK_SYNCED;
}

static void a_boot_without_a_clock_takes_up_the_day_when_it_is_known(void **state)
{
	struct bench b = {.opts = {.day_bytes = 10000}};

	(void)state;
	for (int later = 0; later < 2; later++) { /* the same day, and the next */
		b = (struct bench){.opts = b.opts, .clock.state = adrift, .kept_day = 20000, .kept_bytes = 10000};
		begin(&b);
		open_at(&b, HOUR);
		assert_false(gate_fits(&b.gate, 1));
		assert_int_equal(b.kept_day, 20000);
		b.clock.state = synced;
		open_set_to(&b, midnight + 3 * HOUR + later * day);
		assert_int_equal(gate_fits(&b.gate, 10000), later);
		open_at(&b, midnight + (1 + later) * day);
		assert_true(gate_fits(&b.gate, 10000));
	}
}

static void without_a_clock_for_good_a_day_is_22_hours_at_least(void **state)
{
	struct bench b = {.opts = {.day_bytes = 10000}, .clock.state = adrift, .kept_day = 20000, .kept_bytes = 10000};

	(void)state;
	begin(&b);
	open_at(&b, HOUR);
	open_at(&b, 23 * HOUR - MINUTE);
	assert_false(gate_fits(&b.gate, 1));
	open_at(&b, 23 * HOUR + MINUTE);
	assert_true(gate_fits(&b.gate, 10000));
}

static void a_figure_that_cannot_be_written_is_counted_all_the_same(void **state)
{
	struct bench b = {.opts = {.day_bytes = 10000}, .keep_result = -EIO};

	(void)state;
	begin(&b);
	assert_true(open_at(&b, midnight + HOUR));
	gate_spend(&b.gate, 9000);
	assert_false(gate_fits(&b.gate, 1001));
	gate_unspend(&b.gate, 9000); /* it could not be sent */
	assert_true(gate_fits(&b.gate, 10000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_a_schedule),
		cmocka_unit_test(schedule_over_midnight_is_open_at_its_hours_to_the_minute),
		cmocka_unit_test(hours_are_local_where_it_says_so),
		cmocka_unit_test(hours_follow_the_change_to_summer_time_and_back),
		cmocka_unit_test(a_day_of_bytes_is_a_local_day_over_that_change),
		cmocka_unit_test(it_says_when_to_look_again),
		cmocka_unit_test(a_day_takes_its_bytes_and_not_one_more),
		cmocka_unit_test(what_was_spent_is_written_down_before_and_survives),
		cmocka_unit_test(a_clock_set_back_begins_no_new_day),
		cmocka_unit_test(a_clock_set_forward_begins_no_new_day),
		cmocka_unit_test(a_clock_set_back_and_forth_gives_no_day_twice),
		cmocka_unit_test(a_clock_that_is_kept_right_in_small_steps_ends_the_day_at_midnight),
		cmocka_unit_test(a_boot_without_a_clock_takes_up_the_day_when_it_is_known),
		cmocka_unit_test(without_a_clock_for_good_a_day_is_22_hours_at_least),
		cmocka_unit_test(a_figure_that_cannot_be_written_is_counted_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
