/* SPDX-License-Identifier: MIT */
/* A drain whose upstream says no. */
#include "tests/bridge/drain_rig.h"

/* --- refusals ------------------------------------------------------------------------------------------------------ */

static void a_refusal_that_cannot_heal_is_quarantined_and_passed(void **state)
{
	static const uint8_t codes[] = {0x90, 0x95, 0x99};
	struct bench *b = *state;

	rig_add(b, 3);
	rig_begin(b);
	rig_go_up(b);
	for (size_t i = 0; i < 3; i++) {
		fake_refuse(&b->up, i, codes[i]);
		assert_int_equal(b->quarantine_count, i + 1);
		assert_int_equal(b->quarantine_code, codes[i]);
		assert_int_equal(b->quarantined[i], i + 1);
		assert_int_equal(drain_cursor(b->drain), i + 1);
	}
}

static void a_record_that_cannot_be_set_aside_is_not_passed(void **state)
{
	struct bench *b = *state;

	rig_add(b, 2);
	b->quarantine_result = -28;
	rig_begin(b);
	rig_go_up(b);
	fake_refuse(&b->up, 0, 0x95);
	fake_settle(&b->up, 1);
	rig_turn(b, 1000);
	assert_int_equal(drain_cursor(b->drain), 0);
	b->quarantine_result = 0;
	rig_turn(b, 5000);
	fake_refuse(&b->up, 2, 0x95);
	assert_int_equal(drain_cursor(b->drain), 2);
	assert_int_equal(b->quarantine_count, 1);
}

static void a_refusal_that_may_heal_is_no_acknowledgement(void **state)
{
	struct bench *b = *state;

	rig_add(b, 3);
	rig_begin(b);
	rig_go_up(b);
	fake_refuse(&b->up, 0, 0x87);
	fake_settle(&b->up, 1);
	rig_turn(b, 1);
	assert_int_equal(drain_cursor(b->drain), 0);
	assert_int_equal(b->up.count, 3);
	rig_turn(b, 500);
	assert_int_equal(b->up.count, 4);
	assert_int_equal(b->up.got[3].seq, 1);
	fake_settle(&b->up, 3);
	assert_int_equal(drain_cursor(b->drain), 2);
}

static void a_record_refused_again_and_again_does_not_block_the_queue(void **state)
{
	struct bench *b = *state;

	rig_add(b, 100);
	rig_begin(b);
	rig_go_up(b);
	for (int i = 0; i < 2000 && drain_cursor(b->drain) < 100; i++) {
		for (size_t k = 0; k < b->up.count; k++) {
			if (b->up.got[k].answered)
				continue;
			if (b->up.got[k].seq == 1)
				fake_refuse(&b->up, k, 0x87);
			else
				fake_settle(&b->up, k);
		}
		rig_turn(b, 100);
	}
	assert_int_equal(drain_cursor(b->drain), 100);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 1);
}

static void a_topic_refused_for_good_is_not_waited_for_twice(void **state)
{
	struct bench *b = *state;

	rig_add(b, 1);
	rig_begin(b);
	rig_go_up(b);
	for (size_t tries = 0; tries < 5; tries++) {
		while (b->up.count <= tries)
			rig_turn(b, 100);
		fake_refuse(&b->up, tries, 0x87);
	}
	assert_int_equal(b->quarantine_count, 1);
	rig_add(b, 1);
	rig_turn(b, 1);
	fake_refuse(&b->up, 5, 0x87);
	assert_int_equal(b->quarantine_count, 2);
	assert_int_equal(drain_cursor(b->drain), 2);
}

static void quota_exceeded_holds_everything_for_a_while(void **state)
{
	struct bench *b = *state;

	rig_add(b, 50);
	rig_begin(b);
	rig_go_up(b);
	for (size_t i = 0; i < 10; i++)
		fake_refuse(&b->up, i, 0x97);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 10);
	assert_true(drain_due_ms(b->drain) > b->now_ms);
	rig_turn(b, 2000);
	for (size_t i = 10; i < 20; i++) { /* in order, before anything new, and one at a time: they are of one topic */
		assert_int_equal(b->up.count, i + 1);
		assert_int_equal(b->up.got[i].seq, i - 9);
		fake_settle(&b->up, i);
		rig_turn(b, 1);
	}
	assert_int_equal(b->quarantine_count, 0);
}

static void a_record_larger_than_the_server_takes_is_quarantined_unsent(void **state)
{
	struct bench *b = *state;
	struct uplink_limits limits = {.max_qos = 2, .max_packet = 60};

	rig_add_topic(
		b, "p/a", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	rig_add_topic(b, "p/a", "y");
	rig_begin(b);
	fake_up(&b->up, &limits);
	rig_turn(b, 1);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantine_code, 0x95);
	assert_int_equal(b->up.count, 1);
	assert_string_equal(b->up.got[0].payload, "y");
}

static void a_server_without_qos_1_is_no_upstream_for_promises(void **state)
{
	struct bench *b = *state;
	struct uplink_limits limits = {.max_qos = 0};

	rig_add(b, 1);
	rig_begin(b);
	fake_up(&b->up, &limits);
	rig_turn(b, 0);
	assert_int_equal(b->up.count, 0);
	assert_int_equal(b->state, BRIDGE_DOWN);
	assert_non_null(strstr(b->reason, "qos 0"));
}

/* Places of the topic's records among what was sent: the last time that each was. */
static void assert_order_of(const struct bench *b, const char *topic)
{
	uint64_t last = 0;

	for (size_t i = 0; i < b->up.count; i++) {
		if (strcmp(b->up.got[i].topic, topic) != 0 || b->up.got[i].answered == false)
			continue;
		assert_true(b->up.got[i].seq > last);
		last = b->up.got[i].seq;
	}
}

static void records_refused_together_come_again_in_their_order(void **state)
{
	struct bench *b = *state;
	size_t first;

	rig_add(b, 10);
	rig_begin(b);
	rig_go_up(b);
	for (size_t i = 0; i < 10; i++) {
		b->now_ms += 7; /* each refusal at its own time, some of them told late */
		drain_at(b->drain, b->now_ms);
		fake_refuse(&b->up, i, i % 3 == 0 ? 0x80 : 0x97);
		b->up.got[i].answered = false;
	}
	first = b->up.count;
	for (int i = 0; i < 200 && drain_cursor(b->drain) < 10; i++) {
		rig_turn(b, 100);
		while (first < b->up.count)
			fake_settle(&b->up, first++);
	}
	assert_int_equal(drain_cursor(b->drain), 10);
	assert_order_of(b, "p/a");
}

static void with_order_strict_a_refused_record_is_overtaken_by_none_of_its_topic(void **state)
{
	static const char *const topics[] = {"p/a", "p/b", "p/c"};
	struct bench *b = *state;
	uint64_t done[3] = {0};
	size_t next = 0;

	b->opts.order = BRIDGE_STRICT;
	for (int i = 0; i < 60; i++)
		rig_add_topic(b, topics[i % 3], "x");
	rig_begin(b);
	rig_go_up(b);
	for (int i = 0; i < 3000 && drain_cursor(b->drain) < 60; i++, rig_turn(b, 100)) {
		assert_in_range(b->up.count - next, 0, 3); /* one of each topic at a time */
		for (size_t end = b->up.count; next < end; next++) {
			const struct fake_parcel *p = &b->up.got[next];
			uint64_t *last = &done[p->topic[2] - 'a'];

			if (p->seq % 7 == 0 && !p->again) {
				fake_refuse(&b->up, next, 0x80);
				continue;
			}
			assert_int_equal(p->seq, *last == 0 ? (uint64_t)(p->topic[2] - 'a' + 1) : *last + 3);
			*last = p->seq;
			fake_settle(&b->up, next);
		}
	}
	assert_int_equal(drain_cursor(b->drain), 60);
	assert_int_equal(b->quarantine_count, 0);
}

static void what_comes_after_a_refused_record_of_its_topic_waits_and_other_topics_go_on(void **state)
{
	struct bench *b = *state;

	rig_add_topic(b, "p/a", "1");
	rig_begin(b);
	rig_go_up(b);
	fake_refuse(&b->up, 0, 0x80);
	b->up.got[0].answered = false;
	rig_add_topic(b, "p/a", "2");
	rig_add_topic(b, "p/b", "3");
	rig_add_topic(b, "p/b", "4");
	rig_add_topic(b, "p/a", "5");
	drain_news(b->drain, b->last);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 2); /* of p/b one at a time, since another refusal is to be feared */
	assert_string_equal(b->up.got[1].payload, "3");
	fake_settle(&b->up, 1);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 3);
	assert_string_equal(b->up.got[2].payload, "4");
	rig_turn(b, 600);
	assert_int_equal(b->up.count, 4);
	assert_string_equal(b->up.got[3].payload, "1");
	fake_settle(&b->up, 3);
	rig_turn(b, 1);
	fake_settle(&b->up, 4);
	rig_turn(b, 1);
	assert_string_equal(b->up.got[5].payload, "5");
	assert_order_of(b, "p/a");
}

static void an_upstream_that_refuses_nothing_any_more_gets_the_whole_window_again(void **state)
{
	struct bench *b = *state;

	rig_add(b, 1);
	rig_begin(b);
	rig_go_up(b);
	fake_refuse(&b->up, 0, 0x97);
	rig_turn(b, 3000);
	fake_settle(&b->up, 1);
	rig_add(b, 40);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 3);
	fake_settle(&b->up, 2);
	rig_turn(b, 1);
	fake_settle(&b->up, 3);
	rig_turn(b, 61000);
	assert_int_equal(b->up.count, 4 + 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_refusal_that_cannot_heal_is_quarantined_and_passed),
		RIG_TEST(a_record_that_cannot_be_set_aside_is_not_passed),
		RIG_TEST(a_refusal_that_may_heal_is_no_acknowledgement),
		RIG_TEST(a_record_refused_again_and_again_does_not_block_the_queue),
		RIG_TEST(a_topic_refused_for_good_is_not_waited_for_twice),
		RIG_TEST(quota_exceeded_holds_everything_for_a_while),
		RIG_TEST(a_record_larger_than_the_server_takes_is_quarantined_unsent),
		RIG_TEST(a_server_without_qos_1_is_no_upstream_for_promises),
		RIG_TEST(records_refused_together_come_again_in_their_order),
		RIG_TEST(with_order_strict_a_refused_record_is_overtaken_by_none_of_its_topic),
		RIG_TEST(what_comes_after_a_refused_record_of_its_topic_waits_and_other_topics_go_on),
		RIG_TEST(an_upstream_that_refuses_nothing_any_more_gets_the_whole_window_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
