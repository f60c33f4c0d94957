/* SPDX-License-Identifier: MIT */
/* What was put back from quarantine, ahead of all else. */
#include "tests/bridge/drain_rig.h"

#include <errno.h>

static void three_back(struct bench *b)
{
	rig_put_back(b, 3, "p/a", "three");
	rig_put_back(b, 5, "p/a", "five");
	rig_put_back(b, 9, "p/b", "nine");
}

static void it_goes_before_the_backlog_in_order_and_says_again(void **state)
{
	static const uint64_t seqs[] = {3, 5, 9, 101, 102};
	struct bench *b = *state;

	three_back(b);
	rig_add(b, 120);
	rig_begin_at(b, 100);
	drain_put_back(b->drain, 0, 9);
	rig_go_up(b);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(b->up.got[i].seq, seqs[i]);
		assert_int_equal(b->up.got[i].again, i < 3);
		assert_true(b->up.got[i].late);
	}
	assert_string_equal(b->up.got[1].payload, "five");
	assert_int_equal(drain_back(b->drain), 2);
	fake_settle(&b->up, 1);
	assert_int_equal(drain_back(b->drain), 2);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_back(b->drain), 8);
	assert_int_equal(drain_cursor(b->drain), 100);
	rig_settle_until(b, 120);
	assert_int_equal(drain_back(b->drain), 9);
	assert_int_equal(b->up.count, 23);
}

static void what_the_upstream_has_already_is_not_sent(void **state)
{
	struct bench *b = *state;

	three_back(b);
	rig_begin(b);
	drain_put_back(b->drain, 5, 9);
	rig_go_up(b);
	assert_int_equal(b->up.count, 1);
	assert_int_equal(b->up.got[0].seq, 9);
}

static void refused_again_it_is_set_aside_again(void **state)
{
	struct bench *b = *state;

	three_back(b);
	rig_begin(b);
	drain_put_back(b->drain, 0, 9);
	rig_go_up(b);
	fake_settle(&b->up, 0);
	fake_refuse(&b->up, 1, 0x95);
	fake_settle(&b->up, 2);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 5);
	assert_int_equal(drain_back(b->drain), 9);
}

static void while_it_cannot_be_set_aside_again_it_is_not_done(void **state)
{
	struct bench *b = *state;

	three_back(b);
	rig_begin(b);
	drain_put_back(b->drain, 0, 9);
	rig_go_up(b);
	b->quarantine_result = -ENOSPC;
	fake_refuse(&b->up, 0, 0x95);
	rig_settle_all(b);
	assert_int_equal(drain_back(b->drain), 2);
	b->quarantine_result = 0;
	rig_turn(b, 6000);
	fake_refuse(&b->up, b->up.count - 1, 0x95);
	assert_int_equal(drain_back(b->drain), 9);
	assert_int_equal(b->quarantine_count, 1);
}

static void after_a_lost_link_what_was_in_flight_comes_again_first(void **state)
{
	struct bench *b = *state;

	three_back(b);
	rig_add(b, 110);
	rig_begin_at(b, 100);
	drain_put_back(b->drain, 0, 9);
	rig_go_up(b);
	fake_settle(&b->up, 0);
	fake_down(&b->up, 0);
	b->up.count = 0;
	rig_turn(b, 3000);
	rig_go_up(b);
	assert_int_equal(b->up.got[0].seq, 5);
	assert_int_equal(b->up.got[1].seq, 9);
	assert_int_equal(b->up.got[2].seq, 101);
	rig_settle_until(b, 110);
	assert_int_equal(drain_back(b->drain), 9);
}

static void what_no_rule_sends_any_more_is_set_aside_again(void **state)
{
	struct bench *b = *state;

	rig_put_back(b, 3, "elsewhere/a", "x");
	rig_put_back(b, 4, "p/a", "y");
	rig_begin(b);
	drain_put_back(b->drain, 0, 4);
	rig_go_up(b);
	assert_int_equal(b->up.count, 1);
	assert_int_equal(b->quarantined[0], 3);
	assert_int_equal(b->quarantine_count, 1);
}

static void a_gap_record_is_sent_without_a_rule(void **state)
{
	struct bench *b = *state;

	rig_put_back(b, 3, "elsewhere/gap", "{}");
	b->back[0].gap = true;
	rig_begin(b);
	drain_put_back(b->drain, 0, 3);
	rig_go_up(b);
	assert_int_equal(b->up.count, 1);
	assert_string_equal(b->up.got[0].topic, "elsewhere/gap");
}

static void the_next_run_may_begin_before_the_last_one(void **state)
{
	struct bench *b = *state;

	three_back(b);
	rig_begin(b);
	drain_put_back(b->drain, 5, 9);
	rig_go_up(b);
	rig_settle_all(b);
	assert_int_equal(drain_back(b->drain), 9);
	drain_put_back(b->drain, 0, 3);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 2);
	assert_int_equal(b->up.got[1].seq, 3);
}

static void a_rule_that_reports_changes_does_not_settle_it(void **state)
{
	struct bench *b = *state;

	b->rules[0].report = BRIDGE_REPORT_CHANGE;
	rig_put_back(b, 3, "p/a", "7");
	rig_put_back(b, 4, "p/a", "7");
	rig_begin(b);
	drain_put_back(b->drain, 0, 4);
	rig_go_up(b);
	assert_int_equal(b->up.count, 2);
}

static void in_a_batch_it_says_again_too(void **state)
{
	struct bench *b = *state;

	b->rules[0].batch = (struct bridge_batch){.records = 3, .bytes = 65536, .age_ms = 1000};
	b->rules[0].payload = BRIDGE_ENVELOPE;
	rig_put_back(b, 3, "p/a", "1");
	rig_put_back(b, 4, "p/a", "2");
	rig_put_back(b, 5, "p/a", "3");
	rig_begin(b);
	drain_put_back(b->drain, 0, 5);
	rig_go_up(b);
	assert_int_equal(b->up.count, 1);
	assert_non_null(strstr(b->up.got[0].payload, "\"seq\":4,\"t\":1000,\"late\":1,\"again\":1"));
	fake_settle(&b->up, 0);
	assert_int_equal(drain_back(b->drain), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(it_goes_before_the_backlog_in_order_and_says_again),
		RIG_TEST(what_the_upstream_has_already_is_not_sent),
		RIG_TEST(refused_again_it_is_set_aside_again),
		RIG_TEST(while_it_cannot_be_set_aside_again_it_is_not_done),
		RIG_TEST(after_a_lost_link_what_was_in_flight_comes_again_first),
		RIG_TEST(what_no_rule_sends_any_more_is_set_aside_again),
		RIG_TEST(a_gap_record_is_sent_without_a_rule),
		RIG_TEST(the_next_run_may_begin_before_the_last_one),
		RIG_TEST(a_rule_that_reports_changes_does_not_settle_it),
		RIG_TEST(in_a_batch_it_says_again_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
