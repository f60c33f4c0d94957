/* SPDX-License-Identifier: MIT */
/* A schedule, a day's bytes and rates, as the drain keeps its promises with them. */
#include "tests/bridge/limits_rig.h"

static void begin_with_schedule(struct bench *b, int order)
{
	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1};
	b->opts.schedule = "22:00-06:00";
	b->opts.order = order;
	limits_begin_at(b, 0);
}

static void out_of_hours_only_alarms_go(void **state)
{
	static const int orders[] = {BRIDGE_FIFO, BRIDGE_LIVE_FIRST};

	for (size_t o = 0; o < 2; o++) {
		struct bench *b;
		size_t settled = 0;

		if (o > 0) {
			limits_teardown(state);
			limits_setup(state);
		}
		b = *state;
		begin_with_schedule(b, orders[o]);
		for (int i = 0; i < 20; i++)
			limits_add_as(b, "p/a", "1", i % 10 == 9 ? MSG_ALARM : MSG_TELEMETRY, false);
		limits_turn(b, 1);
		limits_settle_all(b, &settled);
		assert_int_equal(b->up.count, 2);
		assert_int_equal(b->up.got[0].seq, 10);
		assert_int_equal(b->up.got[1].seq, 20);
		assert_int_equal(drain_cursor(b->drain), 0);
		assert_int_equal(limits_counts(b).waits, BRIDGE_WAITS_HOURS);
		limits_turn(b, 10 * HOUR_MS); /* 22:00 */
		limits_add(b, "p/a", "live");
		limits_turn(b, 0);
		limits_settle_all(b, &settled);
		assert_int_equal(b->up.count, 21);
		assert_int_equal(drain_cursor(b->drain), 21);
		for (size_t i = 2; i + 1 < 21; i++)
			if (orders[o] == BRIDGE_FIFO)
				assert_true(b->up.got[i].seq < b->up.got[i + 1].seq);
	}
}

static void what_waited_for_its_hour_is_late(void **state)
{
	struct bench *b = *state;
	size_t settled = 0;

	begin_with_schedule(b, BRIDGE_FIFO);
	limits_add(b, "p/a", "1");
	limits_turn(b, 10 * HOUR_MS);
	limits_add(b, "p/a", "2");
	limits_turn(b, 1);
	limits_settle_all(b, &settled);
	assert_true(b->up.got[0].late);
	assert_false(b->up.got[1].late);
}

static void a_record_is_not_sent_again_out_of_hours(void **state)
{
	struct bench *b = *state;

	begin_with_schedule(b, BRIDGE_FIFO);
	limits_turn(b, 10 * HOUR_MS);
	limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 1);
	limits_turn(b, 8 * HOUR_MS);
	fake_down(&b->up, 0);
	limits_turn(b, 5000);
	fake_up(&b->up, NULL);
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 1);
	limits_turn(b, 17 * HOUR_MS);
	assert_int_equal(b->up.count, 2);
	assert_true(b->up.got[1].again);
}

static void a_day_of_bytes_is_not_exceeded_over_a_restart(void **state)
{
	struct bench *b = *state;
	size_t settled = 0;
	uint64_t first;

	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1};
	b->opts.day_bytes = 5000;
	limits_begin_at(b, 0);
	for (int i = 0; i < 500; i++)
		limits_add(b, "p/a", "0123456789");
	limits_turn(b, 1);
	limits_settle_all(b, &settled);
	first = drain_cursor(b->drain);
	assert_true(first > 50 && first < 200);
	assert_int_equal(limits_counts(b).waits, BRIDGE_WAITS_DAY);
	assert_true(limits_counts(b).day_bytes <= 5000);
	assert_true(limits_counts(b).day_bytes > 4900);
	limits_add_as(b, "p/a", "fire", MSG_ALARM, false);
	limits_turn(b, 1);
	assert_string_equal(limits_sent(b, first), "fire"); /* exempt */
	drain_free(b->drain);
	b->drain = NULL;
	fake_uplink_init(&b->up);
	b->up.count = settled = 0;
	limits_begin_at(b, first);
	limits_turn(b, 1);
	limits_settle_all(b, &settled);
	assert_int_equal(b->up.count, 1); /* the alarm, once more; nothing else today */
	limits_turn(b, 12 * HOUR_MS);
	limits_settle_all(b, &settled);
	assert_int_equal(b->up.got[1].seq, first + 1);
	assert_true(b->up.count > 50);
}

static void a_record_larger_than_a_day_is_set_aside(void **state)
{
	struct bench *b = *state;
	char big[5000];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = 0;
	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1};
	b->opts.day_bytes = 4096;
	limits_begin_at(b, 0);
	limits_add(b, "p/a", big);
	limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	assert_int_equal(b->aside_count, 1);
	assert_string_equal(limits_sent(b, 0), "1");
}

/* 20 s in uneven turns, each record acknowledged as it comes. */
static void live_on(struct bench *b)
{
	for (int i = 0; i < 20000; i += 7) {
		limits_turn(b, 7);
		for (size_t at = 0; at < b->up.count; at++)
			if (!b->up.got[at].answered)
				fake_settle(&b->up, at);
	}
}

static void rates_are_kept_to_the_message_and_the_byte(void **state)
{
	struct bench *b = *state;
	uint64_t bytes;

	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1};
	b->opts.window = 1000;
	b->opts.rate = 50;
	limits_begin_at(b, 0);
	for (int i = 0; i < 2000; i++)
		limits_add(b, "p/a", "0123456789");
	live_on(b);
	assert_in_range(b->up.count, 1000, 1006);
	drain_free(b->drain);
	b->drain = NULL;
	fake_uplink_init(&b->up);
	b->up.count = 0;
	b->opts.rate = 0;
	b->opts.rate_bytes = 1000;
	b->opts.day_bytes = 1 << 20; /* counts for us */
	limits_begin_at(b, 0);
	live_on(b);
	bytes = limits_counts(b).day_bytes;
	assert_in_range(bytes, 20000, 20200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(out_of_hours_only_alarms_go),
		T(what_waited_for_its_hour_is_late),
		T(a_record_is_not_sent_again_out_of_hours),
		T(a_day_of_bytes_is_not_exceeded_over_a_restart),
		T(a_record_larger_than_a_day_is_set_aside),
		T(rates_are_kept_to_the_message_and_the_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
