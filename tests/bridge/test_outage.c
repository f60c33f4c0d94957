/* SPDX-License-Identifier: MIT */
/* A drain whose link breaks, is silent, comes back. */
#include "tests/bridge/drain_rig.h"

/* --- a lost link -------------------------------------------------------------------------------------------------- */

static void what_was_not_acknowledged_is_sent_again_in_order_before_anything_new(void **state)
{
	struct bench *b = *state;

	rig_add(b, 4);
	rig_begin(b);
	rig_go_up(b);
	fake_settle(&b->up, 1);
	fake_down(&b->up, 0);
	assert_int_equal(b->state, BRIDGE_DOWN);
	rig_add(b, 1);
	rig_turn(b, 0);
	assert_int_equal(b->up.dials, 2);
	rig_go_up(b);
	assert_int_equal(b->up.count, 4 + 4);
	assert_int_equal(b->up.got[4].seq, 1);
	assert_true(b->up.got[4].again);
	assert_int_equal(b->up.got[5].seq, 3);
	assert_int_equal(b->up.got[6].seq, 4);
	assert_int_equal(b->up.got[7].seq, 5);
	assert_false(b->up.got[7].again);
}

static void session_present_0_means_send_again(void **state)
{
	struct bench *b = *state;
	struct uplink_limits gone = {.max_qos = 2, .session_present = false};

	rig_add(b, 3);
	rig_begin(b);
	rig_go_up(b);
	fake_down(&b->up, 0);
	rig_turn(b, 0);
	fake_up(&b->up, &gone);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 6);
	assert_int_equal(drain_cursor(b->drain), 0);
}

static void records_that_waited_for_the_link_are_late(void **state)
{
	struct bench *b = *state;

	rig_add(b, 1);
	rig_begin(b);
	rig_go_up(b);
	rig_add(b, 1);
	rig_turn(b, 1);
	assert_true(b->up.got[0].late);
	assert_false(b->up.got[1].late);
}

static void waits_grow_with_each_failure_and_success_resets_them(void **state)
{
	struct bench *b = *state;
	static const int64_t tops[] = {500, 1000, 2000, 3000, 3000};

	rig_add(b, 1);
	b->opts.backoff_max_ms = 3000;
	rig_begin(b);
	for (size_t i = 0; i < 5; i++) {
		fake_down(&b->up, 0);
		assert_true(drain_due_ms(b->drain) - b->now_ms <= tops[i]);
		rig_turn(b, tops[i]);
		assert_int_equal(b->up.dials, i + 2);
	}
	rig_go_up(b);
	fake_settle(&b->up, 0);
	fake_down(&b->up, 0);
	assert_true(drain_due_ms(b->drain) - b->now_ms <= 500);
}

static void a_server_that_asks_for_time_gets_it(void **state)
{
	struct bench *b = *state;

	rig_begin(b);
	fake_down(&b->up, 0x89);
	assert_true(drain_due_ms(b->drain) - b->now_ms >= b->opts.backoff_max_ms / 2);
	assert_non_null(strstr(b->reason, "server busy"));
}

static void a_server_that_goes_on_asking_for_time_gets_more_of_it_up_to_a_minute(void **state)
{
	static const uint8_t codes[] = {0x89, 0x97, 0x9f, 0x87};
	struct bench *b = *state;
	int64_t wait = 0, last;

	rig_add(b, 1);
	rig_begin(b);
	for (int i = 0; i < 12; i++) {
		last = wait;
		fake_down(&b->up, codes[i % 4]);
		wait = drain_due_ms(b->drain) - b->now_ms;
		assert_true(i == 0 || wait >= last);
		rig_turn(b, wait);
		assert_true(b->up.in_call);
	}
	assert_int_equal(wait, 30000); /* the dice are all noughts: half of it */
	rig_go_up(b);
	rig_settle_all(b);
	fake_down(&b->up, 0x89);
	assert_int_equal(drain_due_ms(b->drain) - b->now_ms, b->opts.backoff_max_ms / 2);
}

static void addresses_are_tried_in_turn(void **state)
{
	struct bench *b = *state;

	b->opts.address.count = 2;
	rig_begin(b);
	assert_string_equal(b->up.address, "mqtt://one");
	fake_down(&b->up, 0);
	rig_turn(b, 3000);
	assert_string_equal(b->up.address, "mqtt://two");
	fake_down(&b->up, 0x9c);
	rig_turn(b, 3000);
	assert_string_equal(b->up.address, "mqtt://one");
}

static void no_answer_to_a_dial_ends_it(void **state)
{
	struct bench *b = *state;

	rig_begin(b);
	assert_int_equal(b->state, BRIDGE_CONNECTING);
	rig_turn(b, 4999);
	assert_int_equal(b->state, BRIDGE_CONNECTING);
	rig_turn(b, 1);
	assert_int_equal(b->state, BRIDGE_DOWN);
	assert_false(b->up.in_call);
}

static void a_silent_link_is_dropped(void **state)
{
	struct bench *b = *state;

	rig_add(b, 2);
	rig_begin(b);
	rig_go_up(b);
	rig_turn(b, 3000);
	fake_settle(&b->up, 0); /* it moves */
	rig_turn(b, 3000);
	assert_int_equal(b->state, BRIDGE_UP);
	assert_true(drain_due_ms(b->drain) <= b->now_ms + 1000);
	rig_turn(b, 1001);
	assert_int_equal(b->state, BRIDGE_DOWN);
	assert_non_null(strstr(b->reason, "ack_timeout"));
}

static void one_record_that_is_never_answered_ends_a_link_that_moves(void **state)
{
	struct bench *b = *state;
	size_t next = 1;

	rig_add(b, 200);
	rig_begin(b);
	rig_go_up(b);
	for (int i = 0; i < 13 && b->state == BRIDGE_UP; i++) {
		rig_turn(b, 1000);
		if (b->state == BRIDGE_UP && next < b->up.count)
			fake_settle(&b->up, next++);
	}
	assert_int_equal(b->state, BRIDGE_DOWN);
	assert_int_equal(drain_cursor(b->drain), 0);
}

static void an_idle_link_is_left_alone(void **state)
{
	struct bench *b = *state;

	rig_begin(b);
	rig_go_up(b);
	assert_int_equal(drain_due_ms(b->drain), -1);
	rig_turn(b, 1000000);
	assert_int_equal(b->state, BRIDGE_UP);
}

static void a_shorter_keep_alive_of_the_server_is_followed_by_a_new_call(void **state)
{
	struct bench *b = *state;
	struct uplink_limits limits = {.max_qos = 2, .keep_alive_s = 10};

	rig_begin(b);
	fake_up(&b->up, &limits);
	assert_int_equal(b->up.dials, 2);
	assert_int_equal(b->up.keep_alive_s, 10);
	fake_up(&b->up, &limits);
	rig_turn(b, 1);
	assert_int_equal(b->up.dials, 2);
	assert_int_equal(b->state, BRIDGE_UP);
}

static void events_nobody_expects_are_survived(void **state)
{
	struct bench *b = *state;
	struct uplink_event stray = {.kind = UPLINK_SETTLED, .tag = 4000000};

	rig_add(b, 1);
	rig_begin(b);
	b->up.base.event(b->up.base.ctx, &stray); /* while dialing */
	rig_go_up(b);
	b->up.base.event(b->up.base.ctx, &stray);
	stray.tag = 0;
	b->up.base.event(b->up.base.ctx, &stray);
	b->up.base.event(b->up.base.ctx, &stray); /* twice the same */
	assert_int_equal(drain_cursor(b->drain), 1);
}

static void another_address_is_left_for_the_first_after_a_while(void **state)
{
	struct bench *b = *state;

	b->opts.address.count = 2;
	b->opts.return_ms = 60000;
	rig_add(b, 1);
	rig_begin(b);
	fake_down(&b->up, 0);
	rig_turn(b, 3000);
	rig_go_up(b);
	assert_string_equal(b->up.address, "mqtt://two");
	rig_settle_all(b);
	assert_in_range(drain_due_ms(b->drain) - b->now_ms, 1, 60000);
	rig_turn(b, 60000);
	assert_string_equal(b->up.address, "mqtt://one");
	fake_down(&b->up, 0); /* still dead */
	rig_turn(b, 200);
	assert_string_equal(b->up.address, "mqtt://two");
}

static void a_lost_link_is_dialled_again_where_it_was(void **state)
{
	struct bench *b = *state;

	b->opts.address.count = 2;
	rig_begin(b);
	rig_go_up(b);
	fake_down(&b->up, 0);
	rig_turn(b, 3000);
	assert_string_equal(b->up.address, "mqtt://one");
	fake_down(&b->up, 0);
	rig_turn(b, 200);
	assert_string_equal(b->up.address, "mqtt://two");
}

static void a_token_is_renewed_before_it_runs_out(void **state)
{
	struct bench *b = *state;

	b->opts.token = (struct bridge_token){.kind = BRIDGE_TOKEN_SAS, .lifetime_ms = 100000};
	rig_begin(b);
	rig_go_up(b);
	assert_in_range(drain_due_ms(b->drain) - b->now_ms, 1, 80000);
	rig_turn(b, 79000);
	assert_int_equal(b->up.dials, 1);
	rig_add(b, 3);
	rig_turn(b, 0);
	assert_int_equal(b->up.count, 3);
	rig_turn(b, 1000);
	assert_int_equal(b->up.dials, 2); /* by a call of its own time, with another token */
	rig_go_up(b);
	assert_int_equal(b->up.count, 6);
	assert_true(b->up.got[3].again);
	rig_settle_until(b, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(what_was_not_acknowledged_is_sent_again_in_order_before_anything_new),
		RIG_TEST(session_present_0_means_send_again),
		RIG_TEST(records_that_waited_for_the_link_are_late),
		RIG_TEST(waits_grow_with_each_failure_and_success_resets_them),
		RIG_TEST(a_server_that_asks_for_time_gets_it),
		RIG_TEST(a_server_that_goes_on_asking_for_time_gets_more_of_it_up_to_a_minute),
		RIG_TEST(addresses_are_tried_in_turn),
		RIG_TEST(no_answer_to_a_dial_ends_it),
		RIG_TEST(a_silent_link_is_dropped),
		RIG_TEST(one_record_that_is_never_answered_ends_a_link_that_moves),
		RIG_TEST(an_idle_link_is_left_alone),
		RIG_TEST(a_shorter_keep_alive_of_the_server_is_followed_by_a_new_call),
		RIG_TEST(events_nobody_expects_are_survived),
		RIG_TEST(another_address_is_left_for_the_first_after_a_while),
		RIG_TEST(a_lost_link_is_dialled_again_where_it_was),
		RIG_TEST(a_token_is_renewed_before_it_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
