/* SPDX-License-Identifier: MIT */
/* Report by change, by interval and by rate, as the drain keeps its promises with them. */
#include "tests/bridge/limits_rig.h"

static void what_is_not_reported_is_passed_and_counted(void **state)
{
	struct bench *b = *state;

	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1, .report = BRIDGE_REPORT_CHANGE, .deadband = 1};
	limits_begin_at(b, 0);
	limits_add(b, "p/a", "10");
	for (int i = 0; i < 9; i++)
		limits_add(b, "p/a", "10.5");
	limits_add(b, "p/b", "10.5");
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 2);
	fake_settle(&b->up, 0);
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 11);
	assert_int_equal(limits_counts(b).settled, 9);
}

static void a_held_record_pins_the_cursor_until_it_is_acknowledged(void **state)
{
	struct bench *b = *state;

	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1, .min_interval_ms = 10000};
	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	limits_add(b, "p/a", "2");
	limits_add(b, "p/b", "3");
	limits_turn(b, 1);
	fake_settle(&b->up, 0);
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 1);
	limits_turn(b, 9999);
	limits_turn(b, 200);
	assert_int_equal(b->up.count, 3);
	assert_string_equal(limits_sent(b, 2), "2");
	assert_int_equal(b->up.got[2].seq, 2);
	assert_int_equal(drain_cursor(b->drain), 1);
	fake_settle(&b->up, 2);
	assert_int_equal(drain_cursor(b->drain), 3);
}

static void a_held_record_may_end_in_a_batch(void **state)
{
	struct bench *b = *state;

	b->rule.min_interval_ms = 10000;
	b->rule.batch.age_ms = 20000;
	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	limits_add(b, "p/a", "2");
	limits_add(b, "p/b", "3");
	limits_turn(b, 1);
	limits_turn(b, 10200);
	assert_int_equal(b->up.count, 0);
	limits_turn(b, 10000);
	SEQS(b, 0, 1, 3, 2);
	assert_int_equal(drain_cursor(b->drain), 0);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 3);
}

/* --- a rule's rate ------------------------------------------------------------------------------------------------ */

static void begin_with_rate(struct bench *b, int over_rate)
{
	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1, .rate = 10, .over_rate = over_rate};
	b->rules[1] = (struct bridge_rule){.out = "q/#", .qos = 1};
	b->opts.rules = (struct key_list){b->rules, 2};
	limits_begin_at(b, 0);
}

static size_t sent_of(const struct bench *b, const char *topic)
{
	size_t n = 0;

	for (size_t i = 0; i < b->up.count; i++)
		n += strcmp(b->up.got[i].topic, topic) == 0;
	return n;
}

static void for_ms(struct bench *b, int64_t ms, size_t *settled)
{
	for (int64_t i = 0; i < ms; i += 10) {
		limits_turn(b, 10);
		limits_settle_all(b, settled);
	}
}

static void what_is_over_its_rate_waits_in_order_while_other_rules_go_on(void **state)
{
	struct bench *b = *state;
	size_t settled = 0;
	uint64_t last = 0;

	begin_with_rate(b, BRIDGE_OVER_WAIT);
	for (int i = 0; i < 20; i++) {
		limits_add(b, "p/a", "1");
		limits_add(b, "q/a", "1");
	}
	for_ms(b, 1000, &settled);
	assert_in_range(sent_of(b, "p/a"), 10, 12);
	assert_int_equal(sent_of(b, "q/a"), 20);
	assert_in_range(drain_cursor(b->drain), 20, 24); /* nothing that waits is passed */
	for_ms(b, 1000, &settled);
	assert_int_equal(drain_cursor(b->drain), 40);
	assert_int_equal(limits_counts(b).settled, 0);
	for (size_t i = 0; i < b->up.count; i++)
		if (strcmp(b->up.got[i].topic, "p/a") == 0) {
			assert_true(b->up.got[i].seq > last);
			last = b->up.got[i].seq;
		}
}

static void the_drain_wakes_when_a_rule_may_send_again(void **state)
{
	struct bench *b = *state;

	begin_with_rate(b, BRIDGE_OVER_WAIT);
	limits_add(b, "p/a", "1");
	limits_add(b, "p/a", "2");
	limits_turn(b, 0);
	assert_int_equal(b->up.count, 1);
	fake_settle(&b->up, 0);
	limits_turn(b, 0);
	assert_in_range(drain_due_ms(b->drain) - b->now_ms, 1, 100);
	limits_turn(b, drain_due_ms(b->drain) - b->now_ms);
	assert_int_equal(b->up.count, 2);
}

static void a_rule_far_over_its_rate_holds_up_the_others_and_loses_nothing(void **state)
{
	struct bench *b = *state;
	size_t settled = 0;

	begin_with_rate(b, BRIDGE_OVER_WAIT);
	for (int i = 0; i < 100; i++)
		limits_add(b, "p/a", "1");
	limits_add(b, "q/a", "1");
	for_ms(b, 1000, &settled);
	assert_int_equal(sent_of(b, "q/a"), 0);
	for_ms(b, 9100, &settled);
	assert_int_equal(drain_cursor(b->drain), 101);
	assert_int_equal(b->up.count, 101);
}

static void an_alarm_is_not_held_back_by_the_rate_of_its_rule(void **state)
{
	struct bench *b = *state;

	begin_with_rate(b, BRIDGE_OVER_WAIT);
	for (int i = 0; i < 5; i++)
		limits_add(b, "p/a", "1");
	limits_add_as(b, "p/alarm", "!", MSG_ALARM, false);
	limits_turn(b, 0);
	assert_int_equal(sent_of(b, "p/alarm"), 1);
	assert_int_equal(sent_of(b, "p/a"), 1);
}

static void over_its_rate_the_latest_of_each_topic_goes_and_the_rest_is_counted(void **state)
{
	struct bench *b = *state;
	size_t settled = 0;
	char topic[8];

	begin_with_rate(b, BRIDGE_OVER_LATEST);
	for (int round = 0; round < 100; round++) { /* 500 a second of five topics, for 2 s */
		for (int t = 0; t < 10; t++) {
			snprintf(topic, sizeof(topic), "p/%d", t % 5);
			limits_add(b, topic, "1");
		}
		limits_turn(b, 20);
		limits_settle_all(b, &settled);
	}
	assert_in_range(b->up.count, 18, 24);
	for (int t = 0; t < 5; t++) { /* each has its turn, however often it changes */
		snprintf(topic, sizeof(topic), "p/%d", t);
		assert_in_range(sent_of(b, topic), 3, 6);
	}
	for_ms(b, 1000, &settled);
	assert_int_equal(drain_cursor(b->drain), 1000);
	assert_int_equal(limits_counts(b).settled + b->up.count, 1000);
	for (uint64_t seq = 996; seq <= 1000; seq++) { /* the last of each topic is there */
		bool there = false;

		for (size_t i = 0; i < b->up.count; i++)
			there = there || b->up.got[i].seq == seq;
		assert_true(there);
	}
}

static void under_its_rate_nothing_is_settled_by_it(void **state)
{
	struct bench *b = *state;
	size_t settled = 0;

	begin_with_rate(b, BRIDGE_OVER_LATEST);
	for (int i = 0; i < 20; i++) {
		limits_add(b, "p/a", "1");
		for_ms(b, 150, &settled);
	}
	assert_int_equal(b->up.count, 20);
	assert_int_equal(limits_counts(b).settled, 0);
}

static void a_batch_counts_as_one_message_of_its_rule(void **state)
{
	struct bench *b = *state;
	size_t settled = 0;

	b->rule.rate = 10;
	limits_begin_at(b, 0);
	for (int i = 0; i < 80; i++)
		limits_add(b, "p/a", "1");
	for_ms(b, 1000, &settled);
	assert_in_range(b->up.count, 10, 12);
	for_ms(b, 1200, &settled);
	assert_int_equal(drain_cursor(b->drain), 80);
	assert_int_equal(b->up.count, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_not_reported_is_passed_and_counted),
		T(a_held_record_pins_the_cursor_until_it_is_acknowledged),
		T(a_held_record_may_end_in_a_batch),
		T(what_is_over_its_rate_waits_in_order_while_other_rules_go_on),
		T(the_drain_wakes_when_a_rule_may_send_again),
		T(a_rule_far_over_its_rate_holds_up_the_others_and_loses_nothing),
		T(an_alarm_is_not_held_back_by_the_rate_of_its_rule),
		T(over_its_rate_the_latest_of_each_topic_goes_and_the_rest_is_counted),
		T(under_its_rate_nothing_is_settled_by_it),
		T(a_batch_counts_as_one_message_of_its_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
