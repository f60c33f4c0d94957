/* SPDX-License-Identifier: MIT */
/* Batches, as the drain keeps its promises with them. */
#include "tests/bridge/limits_rig.h"

static void a_batch_goes_when_it_is_full_and_settles_all_its_records(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	for (int i = 0; i < 4; i++)
		limits_add(b, i % 2 ? "p/b" : "p/a", "{\"v\":1}");
	limits_add(b, "p/c", "5");
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 1);
	SEQS(b, 0, 1, 2, 3, 4);
	assert_int_equal(drain_cursor(b->drain), 0);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 4); /* 5 waits for others, and pins it */
	assert_int_equal(limits_counts(b).acknowledged, 4);
	limits_turn(b, 999);
	assert_int_equal(b->up.count, 1);
	limits_turn(b, 1);
	SEQS(b, 1, 5); /* its age is reached */
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 5);
}

static void the_drain_wakes_for_the_age_of_a_batch(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	assert_int_equal(drain_due_ms(b->drain), b->now_ms + 1000);
}

static void an_envelope_tells_all(void **state)
{
	struct bench *b = *state;

	b->rule.batch.records = 2;
	limits_begin_at(b, 0);
	limits_add(b, "p/b", "some \"text\"");
	limits_add_as(b, "p/a", "{\"v\":1,\n\"q\":\"good\"}", MSG_ALARM, false);
	limits_turn(b, 1);
	assert_string_equal(limits_sent(b, 0),
		"[{\"topic\":\"p/b\",\"seq\":1,\"t\":1728043200001,\"text\":\"some \\\"text\\\"\"},"
		"{\"topic\":\"p/a\",\"seq\":2,\"t\":1728043200001,\"class\":\"alarm\",\"q\":\"good\","
		"\"payload\":{\"v\":1, \"q\":\"good\"}}]");
}

static void an_alarm_takes_its_batch_along_at_once(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_add_as(b, "p/a", "!", MSG_ALARM, false);
	limits_add(b, "p/a", "2");
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 1);
	SEQS(b, 0, 1, 2);
}

static void exempt_records_that_a_batch_held_go_though_the_gate_shuts(void **state)
{
	struct bench *b = *state;

	b->opts.schedule = "12:00-13:00";
	b->opts.exempt = 1 << MSG_EVENT;
	b->rule.batch.age_ms = 2 * HOUR_MS;
	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_add_as(b, "p/a", "2", MSG_EVENT, false);
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 0);
	limits_turn(b, HOUR_MS);
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 1);
	SEQS(b, 0, 2);
}

static void lines_stand_one_under_the_other(void **state)
{
	struct bench *b = *state;

	b->rule.batch.records = 2;
	b->rule.batch.format = BRIDGE_BATCH_LINES;
	b->opts.mark = BRIDGE_MARK_NONE;
	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_add(b, "p/b", "\r\n2\n");
	limits_turn(b, 1);
	assert_string_equal(limits_sent(b, 0), "{\"topic\":\"p/a\",\"t\":1728043200001,\"payload\":1}\n"
					       "{\"topic\":\"p/b\",\"t\":1728043200001,\"payload\":  2 }\n");
}

static void each_topic_upstream_has_a_batch_of_its_own(void **state)
{
	struct bench *b = *state;

	b->rule.topic = "dev/{#}";
	b->rule.batch.records = 2;
	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_add(b, "p/b", "2");
	limits_add(b, "p/b", "3");
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 1);
	assert_string_equal(b->up.got[0].topic, "dev/b");
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 0); /* 1 has not left yet */
	limits_turn(b, 1000);
	assert_string_equal(b->up.got[1].topic, "dev/a");
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 3);
}

static void batches_acknowledged_out_of_order_do_not_move_the_cursor_too_far(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	for (int i = 0; i < 12; i++)
		limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 3);
	fake_settle(&b->up, 2);
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 0);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 12);
}

static void after_a_lost_link_a_batch_comes_again_marked_and_in_its_place(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	for (int i = 0; i < 8; i++)
		limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	fake_down(&b->up, 0);
	limits_turn(b, 5000);
	fake_up(&b->up, NULL);
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 4);
	SEQS(b, 2, 1, 2, 3, 4);
	SEQS(b, 3, 5, 6, 7, 8);
	assert_non_null(strstr(limits_sent(b, 2), "\"again\":1"));
	assert_null(strstr(limits_sent(b, 0), "\"again\""));
}

static void what_was_in_a_batch_when_the_process_died_comes_again(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	for (int i = 0; i < 6; i++)
		limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	assert_int_equal(drain_cursor(b->drain), 0);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 4);
	drain_free(b->drain); /* 5 and 6 were in an open batch */
	b->drain = NULL;
	fake_uplink_init(&b->up);
	b->up.count = 0;
	limits_begin_at(b, 4);
	limits_turn(b, 1000);
	SEQS(b, 0, 5, 6);
}

/* A bad record among others is found by halves: it alone is set aside. */
static void a_poisoned_batch_comes_apart_around_its_poison(void **state)
{
	static const uint8_t codes[] = {0x95, 0x99};
	struct bench *b = *state;
	uint64_t taken[64], n = 0;

	b->rule.batch.records = 16;
	limits_begin_at(b, 0);
	for (int i = 1; i <= 16; i++)
		limits_add(b, "p/a", i == 11 ? "666" : "1");
	limits_turn(b, 1);
	for (size_t i = 0; i < b->up.count; i++) {
		if (strstr(limits_sent(b, i), "666")) {
			fake_refuse(&b->up, i, codes[i % 2]);
		} else {
			n += limits_seqs_of(limits_sent(b, i), taken + n, 64 - n);
			fake_settle(&b->up, i);
		}
		limits_turn(b, 1);
	}
	assert_int_equal(b->aside_count, 1);
	assert_int_equal(b->aside[0], 11);
	assert_int_equal(n, 15);
	for (size_t i = 0; i + 1 < n; i++)
		assert_true(taken[i] < taken[i + 1]); /* in order, and none twice */
	assert_int_equal(drain_cursor(b->drain), 16);
	assert_true(b->up.count < 12);
	assert_int_equal(limits_counts(b).acknowledged, 15);
}

static void a_batch_larger_than_a_packet_goes_in_parts_and_in_order(void **state)
{
	struct bench *b = *state;
	uint64_t got[64], n = 0;

	b->rule.batch.records = 16;
	b->opts.max_packet = 260;
	limits_begin_at(b, 0);
	for (int i = 0; i < 16; i++)
		limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	for (size_t i = 0; i < b->up.count; i++) {
		assert_true(strlen(limits_sent(b, i)) < 260);
		n += limits_seqs_of(limits_sent(b, i), got + n, 64 - n);
		fake_settle(&b->up, i);
		limits_turn(b, 1);
	}
	assert_int_equal(n, 16);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(got[i], i + 1);
	assert_int_equal(b->aside_count, 0);
	assert_int_equal(drain_cursor(b->drain), 16);
}

static void a_topic_nobody_takes_sets_all_of_its_batch_aside(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	for (int i = 0; i < 4; i++)
		limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	fake_refuse(&b->up, 0, 0x90);
	assert_int_equal(b->aside_count, 4);
	assert_int_equal(drain_cursor(b->drain), 4);
}

static void a_batch_that_cannot_be_set_aside_is_passed_by_nobody(void **state)
{
	struct bench *b = *state;

	b->aside_result = -28;
	limits_begin_at(b, 0);
	for (int i = 0; i < 4; i++)
		limits_add(b, "p/a", "1");
	limits_turn(b, 1);
	fake_refuse(&b->up, 0, 0x90);
	assert_int_equal(drain_cursor(b->drain), 0);
	b->aside_result = 0;
	limits_turn(b, 5000);
	fake_refuse(&b->up, 1, 0x90);
	assert_int_equal(b->aside_count, 4);
	assert_int_equal(drain_cursor(b->drain), 4);
}

static void a_gap_record_comes_after_all_that_was_before_it(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_add(b, "p/b", "2");
	limits_add_as(b, "weir/event", "{\"gap\":1}", MSG_EVENT, true);
	limits_add(b, "p/a", "3");
	limits_turn(b, 1);
	assert_int_equal(b->up.count, 2);
	SEQS(b, 0, 1, 2);
	assert_string_equal(b->up.got[1].topic, "weir/event");
	limits_turn(b, 1000);
	SEQS(b, 2, 4);
}

static void expired_records_are_left_out_of_a_batch(void **state)
{
	struct bench *b = *state;

	limits_begin_at(b, 0);
	limits_add(b, "p/a", "1");
	limits_add(b, "p/a", "2");
	b->records[1].msg->expiry_s = 0;
	limits_turn(b, 1);
	limits_turn(b, 1000);
	SEQS(b, 0, 2);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 2);
	assert_int_equal(limits_counts(b).expired, 1);
}

static void the_rule_says_when_a_record_is_too_old(void **state)
{
	struct bench *b = *state;

	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1, .expiry_ms = 60000};
	limits_add(b, "p/a", "old");
	b->now_ms += 59000;
	limits_add(b, "p/a", "new");
	b->now_ms += 2000;
	limits_begin_at(b, 0);
	assert_int_equal(b->up.count, 1);
	assert_string_equal(limits_sent(b, 0), "new");
	assert_int_equal(limits_counts(b).expired, 1);
}

static void more_topics_than_there_are_batches_lose_nothing(void **state)
{
	struct bench *b = *state;
	static bool seen[RECORDS + 1];
	char topic[32];

	b->rule.topic = "dev/{#}";
	b->opts.window = 100;
	for (int i = 0; i < 3000; i++) {
		snprintf(topic, sizeof(topic), "p/%d", i % 1500);
		limits_add(b, topic, "1");
	}
	limits_begin_at(b, 0);
	for (size_t i = 0; drain_cursor(b->drain) < 3000; i++) {
		uint64_t got[8];
		size_t n;

		if (i == b->up.count)
			limits_turn(b, 1000);
		n = limits_seqs_of(limits_sent(b, i), got, 8);
		for (size_t k = 0; k < n; k++) {
			assert_false(seen[got[k]]);
			seen[got[k]] = true;
		}
		fake_settle(&b->up, i);
		limits_turn(b, 0);
	}
	for (int seq = 1; seq <= 3000; seq++)
		assert_true(seen[seq]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_batch_goes_when_it_is_full_and_settles_all_its_records),
		T(the_drain_wakes_for_the_age_of_a_batch),
		T(an_envelope_tells_all),
		T(an_alarm_takes_its_batch_along_at_once),
		T(exempt_records_that_a_batch_held_go_though_the_gate_shuts),
		T(lines_stand_one_under_the_other),
		T(each_topic_upstream_has_a_batch_of_its_own),
		T(batches_acknowledged_out_of_order_do_not_move_the_cursor_too_far),
		T(after_a_lost_link_a_batch_comes_again_marked_and_in_its_place),
		T(what_was_in_a_batch_when_the_process_died_comes_again),
		T(a_poisoned_batch_comes_apart_around_its_poison),
		T(a_batch_larger_than_a_packet_goes_in_parts_and_in_order),
		T(a_topic_nobody_takes_sets_all_of_its_batch_aside),
		T(a_batch_that_cannot_be_set_aside_is_passed_by_nobody),
		T(a_gap_record_comes_after_all_that_was_before_it),
		T(expired_records_are_left_out_of_a_batch),
		T(the_rule_says_when_a_record_is_too_old),
		T(more_topics_than_there_are_batches_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
