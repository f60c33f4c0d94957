/* SPDX-License-Identifier: MIT */
#include "bridge/echo.h"
#include "tests/bridge/drain_rig.h"
#include "tests/lib/tempdir.h"

/* --- the window and the cursor ---------------------------------------------------------------------------------- */

static void window_bounds_what_is_in_flight(void **state)
{
	struct bench *b = *state;

	rig_add(b, 50);
	rig_begin(b);
	assert_int_equal(b->up.count, 0); /* not up yet */
	rig_go_up(b);
	assert_int_equal(b->up.count, 10);
	fake_settle(&b->up, 0);
	fake_settle(&b->up, 1);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 12);
}

static void sending_does_not_move_the_cursor(void **state)
{
	struct bench *b = *state;

	rig_add(b, 5);
	rig_begin(b);
	rig_go_up(b);
	assert_int_equal(b->up.count, 5);
	assert_int_equal(drain_cursor(b->drain), 0);
}

static void cursor_moves_over_the_contiguous_part(void **state)
{
	struct bench *b = *state;

	rig_add(b, 5);
	rig_begin(b);
	rig_go_up(b);
	fake_settle(&b->up, 1);
	fake_settle(&b->up, 2);
	assert_int_equal(drain_cursor(b->drain), 0);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 3);
	fake_settle(&b->up, 4);
	fake_settle(&b->up, 3);
	assert_int_equal(drain_cursor(b->drain), 5);
}

static void records_no_rule_selects_are_passed(void **state)
{
	struct bench *b = *state;
	struct bridge_counts c;

	rig_add_topic(b, "other", "x");
	rig_add_topic(b, "p/a", "y");
	rig_add_topic(b, "other", "z");
	rig_begin(b);
	rig_go_up(b);
	assert_int_equal(b->up.count, 1);
	assert_int_equal(drain_cursor(b->drain), 1);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 3);
	drain_counts(b->drain, &c);
	assert_int_equal(c.skipped, 2);
}

static void draining_begins_after_the_cursor(void **state)
{
	struct bench *b = *state;

	rig_add(b, 9);
	rig_begin_at(b, 7);
	rig_go_up(b);
	assert_int_equal(b->up.count, 2);
	assert_int_equal(b->up.got[0].seq, 8);
}

static void receive_maximum_of_the_server_bounds_the_window(void **state)
{
	struct bench *b = *state;
	struct uplink_limits limits = {.max_qos = 2, .receive_max = 3};

	rig_add(b, 50);
	rig_begin(b);
	fake_up(&b->up, &limits);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 3);
}

static void window_bytes_lets_one_record_through_whatever_its_size(void **state)
{
	struct bench *b = *state;

	b->opts.window_bytes = 1;
	rig_add(b, 3);
	rig_begin(b);
	rig_go_up(b);
	assert_int_equal(b->up.count, 1);
	fake_settle(&b->up, 0);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 2);
}

static void a_backlog_of_any_length_arrives_once_and_in_order(void **state)
{
	struct bench *b = *state;

	rig_add(b, RECORDS);
	rig_begin(b);
	rig_go_up(b);
	for (size_t i = 0; i < RECORDS; i++) {
		assert_true(i < b->up.count);
		fake_settle(&b->up, i);
		rig_turn(b, 1);
	}
	assert_int_equal(b->up.count, RECORDS);
	for (size_t i = 0; i < RECORDS; i++)
		assert_int_equal(b->up.got[i].seq, i + 1);
	assert_int_equal(drain_cursor(b->drain), RECORDS);
}

static void a_busy_uplink_gets_the_same_record_later(void **state)
{
	struct bench *b = *state;

	rig_add(b, 2);
	rig_begin(b);
	b->up.publish_result = UPLINK_BUSY;
	rig_go_up(b);
	assert_int_equal(b->up.count, 0);
	b->up.publish_result = 0;
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 2);
	assert_int_equal(b->up.got[0].seq, 1);
}

static void what_a_busy_uplink_did_not_take_leaves_no_echo(void **state)
{
	struct bench *b = *state;

	assert_int_equal(echo_new(&b->echo), 0);
	b->rules[0] = (struct bridge_rule){.both = "p/#", .qos = 1};
	rig_add(b, 1);
	rig_begin(b);
	b->up.publish_result = UPLINK_BUSY;
	rig_go_up(b);
	assert_false(echo_is(b->echo, "p/a", 3, "0", 1, b->now_ms));
	b->up.publish_result = 0;
	rig_turn(b, 1);
	assert_true(echo_is(b->echo, "p/a", 3, "0", 1, b->now_ms));
	echo_free(b->echo);
}

static void a_store_that_cannot_be_read_is_asked_again(void **state)
{
	struct bench *b = *state;
	int reads;

	rig_add(b, 2);
	b->read_result = -5;
	rig_begin(b);
	rig_go_up(b);
	reads = b->reads;
	rig_turn(b, 10);
	assert_int_equal(b->reads, reads); /* not at once */
	b->read_result = 0;
	rig_turn(b, 1000);
	assert_int_equal(b->up.count, 2);
}

/* --- rate, status, goodbye ------------------------------------------------------------------------------------------ */

static void rate_spreads_records_over_time(void **state)
{
	struct bench *b = *state;

	b->opts.rate = 100;
	b->opts.window = 1000;
	rig_add(b, 1000);
	rig_begin(b);
	rig_go_up(b);
	for (int i = 0; i < 200; i++) {
		rig_turn(b, 10);
		for (size_t k = 0; k < b->up.count; k++)
			if (!b->up.got[k].answered)
				fake_settle(&b->up, k);
	}
	assert_in_range(b->up.count, 195, 215); /* two seconds and the first burst */
}

static void status_is_retained_online_and_the_will_says_offline(void **state)
{
	struct bench *b = *state;

	b->opts.status = "{site}/weir/status";
	rig_add(b, 1);
	rig_begin(b);
	assert_non_null(strstr(b->up.will, "plant/weir/status {\"state\":\"offline\",\"reason\":\"lost\""));
	rig_go_up(b);
	assert_string_equal(b->up.got[0].topic, "plant/weir/status");
	assert_true(b->up.got[0].retain);
	assert_non_null(strstr(b->up.got[0].payload, "\"state\":\"online\",\"reason\":\"start\""));
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 0); /* it is no record */
}

static void another_configuration_is_told_while_the_link_is_up(void **state)
{
	struct bench *b = *state;

	b->opts.status = "{site}/weir/status";
	b->start_reason = "reload";
	rig_begin(b);
	drain_configured(b->drain, "00ff");
	rig_go_up(b);
	assert_non_null(strstr(b->up.got[0].payload, "\"reason\":\"reload\""));
	assert_non_null(strstr(b->up.got[0].payload, "\"config\":\"00ff\""));
	drain_configured(b->drain, "00ff");
	assert_int_equal(b->up.count, 1);
	drain_configured(b->drain, "01ff");
	assert_int_equal(b->up.count, 2);
	assert_non_null(strstr(b->up.got[1].payload, "\"config\":\"01ff\""));
	fake_down(&b->up, 0);
	drain_configured(b->drain, "02ff"); /* not before there is a link */
	assert_int_equal(b->up.count, 2);
	rig_turn(b, 1);
	rig_go_up(b);
	assert_non_null(strstr(b->up.got[2].payload, "\"config\":\"02ff\""));
	assert_non_null(strstr(b->up.got[2].payload, "\"reason\":\"reconnect\""));
}

static void goodbye_says_offline_and_leaves_after_its_acknowledgement(void **state)
{
	struct bench *b = *state;

	b->opts.status = "{site}/weir/status";
	rig_add(b, 1);
	rig_begin(b);
	rig_go_up(b);
	drain_stop(b->drain);
	assert_non_null(strstr(b->up.got[2].payload, "\"reason\":\"stopped\""));
	assert_false(b->up.left);
	fake_settle(&b->up, 1); /* a record in flight still counts */
	assert_int_equal(drain_cursor(b->drain), 1);
	fake_settle(&b->up, 2);
	assert_true(b->up.left);
	assert_false(drain_stopped(b->drain));
	fake_down(&b->up, 0);
	assert_true(drain_stopped(b->drain));
}

static void goodbye_does_not_wait_for_ever(void **state)
{
	struct bench *b = *state;

	rig_begin(b);
	rig_go_up(b);
	drain_stop(b->drain);
	rig_turn(b, drain_due_ms(b->drain) - b->now_ms);
	assert_true(drain_stopped(b->drain));
	assert_false(b->up.in_call);
}

static void stopping_while_down_or_dialing_is_at_once(void **state)
{
	struct bench *b = *state;

	rig_begin(b);
	drain_stop(b->drain);
	assert_true(drain_stopped(b->drain));
}

static void rules_that_come_down_are_subscribed_once_per_session(void **state)
{
	struct bench *b = *state;
	struct uplink_limits kept = {.max_qos = 2, .session_present = true};

	b->rules[1] = (struct bridge_rule){.in = "cmd/#", .qos = 1};
	b->opts.rules.count = 2;
	rig_begin(b);
	rig_go_up(b);
	assert_int_equal(b->up.filter_count, 1);
	assert_string_equal(b->up.filters[0], "cmd/#");
	fake_down(&b->up, 0);
	rig_turn(b, 500);
	fake_up(&b->up, &kept);
	assert_int_equal(b->up.filter_count, 1);
	fake_down(&b->up, 0);
	rig_turn(b, 500);
	fake_up(&b->up, NULL);
	assert_int_equal(b->up.filter_count, 2);
}

static void end_process(struct bench *b)
{
	drain_free(b->drain);
	b->drain = NULL;
	b->up.filter_count = b->up.left_count = 0;
}

static void a_new_process_asks_for_what_the_session_lacks_and_gives_up_what_no_rule_wants(void **state)
{
	struct bench *b = *state;
	struct uplink_limits kept = {.max_qos = 2, .session_present = true};
	char *dir = tempdir_new();

	assert_int_equal(roll_open(&b->roll, dir, "up"), 0);
	b->rules[1] = (struct bridge_rule){.in = "cmd/#", .qos = 1};
	b->opts.rules.count = 2;
	rig_begin(b);
	rig_go_up(b);
	assert_int_equal(b->up.filter_count, 1);
	end_process(b);
	rig_begin(b);
	fake_up(&b->up, &kept);
	assert_int_equal(b->up.filter_count, 1); /* nobody knows whether the server had heard of it */
	fake_subscribed(&b->up, b->up.filter_tags[0], 1);
	end_process(b);
	rig_begin(b);
	fake_up(&b->up, &kept);
	assert_int_equal(b->up.filter_count + b->up.left_count, 0);
	end_process(b);
	b->rules[1].in = "other/#";
	rig_begin(b);
	fake_up(&b->up, &kept);
	assert_string_equal(b->up.filters[0], "other/#");
	assert_string_equal(b->up.left_filters[0], "cmd/#");
	fake_down(&b->up, 0);
	rig_turn(b, 5000);
	fake_up(&b->up, &kept);
	assert_int_equal(b->up.left_count, 2); /* it had no answer */
	fake_subscribed(&b->up, b->up.left_tag, 0x11);
	fake_down(&b->up, 0);
	rig_turn(b, 5000);
	fake_up(&b->up, &kept);
	assert_int_equal(b->up.left_count, 2);
	end_process(b);
	roll_close(b->roll);
	b->roll = NULL;
	tempdir_free(dir);
}

static void a_status_from_the_queue_does_not_replace_the_present_one(void **state)
{
	struct bench *b = *state;

	b->opts.status = "p/status";
	rig_add_topic(b, "p/status", "offline since yesterday");
	rig_add(b, 1);
	rig_begin(b);
	rig_go_up(b);
	rig_settle_all(b);
	assert_int_equal(drain_cursor(b->drain), 2);
	for (size_t i = 0; i < b->up.count; i++)
		assert_null(strstr(b->up.got[i].payload, "yesterday"));
}

static void rate_bytes_counts_whole_packets(void **state)
{
	struct bench *b = *state;

	b->opts.rate_bytes = 1000; /* a record is about 50 bytes */
	b->opts.window = 1000;
	rig_add(b, 1000);
	rig_begin(b);
	rig_go_up(b);
	for (int i = 0; i < 200; i++) {
		rig_turn(b, 10);
		rig_settle_all(b);
	}
	assert_in_range(b->up.count, 30, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(window_bounds_what_is_in_flight),
		RIG_TEST(sending_does_not_move_the_cursor),
		RIG_TEST(cursor_moves_over_the_contiguous_part),
		RIG_TEST(records_no_rule_selects_are_passed),
		RIG_TEST(draining_begins_after_the_cursor),
		RIG_TEST(receive_maximum_of_the_server_bounds_the_window),
		RIG_TEST(window_bytes_lets_one_record_through_whatever_its_size),
		RIG_TEST(a_backlog_of_any_length_arrives_once_and_in_order),
		RIG_TEST(a_busy_uplink_gets_the_same_record_later),
		RIG_TEST(what_a_busy_uplink_did_not_take_leaves_no_echo),
		RIG_TEST(a_store_that_cannot_be_read_is_asked_again),
		RIG_TEST(rate_spreads_records_over_time),
		RIG_TEST(status_is_retained_online_and_the_will_says_offline),
		RIG_TEST(another_configuration_is_told_while_the_link_is_up),
		RIG_TEST(goodbye_says_offline_and_leaves_after_its_acknowledgement),
		RIG_TEST(goodbye_does_not_wait_for_ever),
		RIG_TEST(stopping_while_down_or_dialing_is_at_once),
		RIG_TEST(rules_that_come_down_are_subscribed_once_per_session),
		RIG_TEST(a_new_process_asks_for_what_the_session_lacks_and_gives_up_what_no_rule_wants),
		RIG_TEST(a_status_from_the_queue_does_not_replace_the_present_one),
		RIG_TEST(rate_bytes_counts_whole_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
