/* SPDX-License-Identifier: MIT */
#include "bridge/drain.h"
#include "tests/bridge/fake_uplink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RECORDS = 2000 };

struct bench {
	struct fake_uplink up;
	struct drain *drain;
	struct bridge_opts opts;
	struct bridge_rule rules[2];
	const char *address[2];
	struct msg *msgs[RECORDS + 1]; /* by seq */
	uint64_t last;
	int reads, read_result;
	int64_t now_ms;
	enum bridge_state state;
	char reason[256];
	uint64_t quarantined[64];
	unsigned quarantine_code;
	size_t quarantine_count;
	int quarantine_result;
};

static int64_t still_mono(const struct clock *c)
{
	(void)c;
	return 0;
}

static int64_t still_wall(const struct clock *c)
{
	(void)c;
	return 1763689123123;
}

static const struct clock still = {still_mono, still_wall};

static uint32_t no_random(void)
{
	return 0;
}

static int read_records(void *ctx, size_t lane, uint64_t after, struct store_record *out, size_t max)
{
	struct bench *b = ctx;
	size_t n = 0;

	(void)lane;
	b->reads++;
	if (b->read_result < 0)
		return b->read_result;
	for (uint64_t seq = after + 1; seq <= b->last && n < max; seq++)
		if (b->msgs[seq])
			out[n++] = (struct store_record){.seq = seq, .msg = b->msgs[seq]};
	return (int)n;
}

static void on_state(void *ctx, enum bridge_state state, const char *reason)
{
	struct bench *b = ctx;

	b->state = state;
	snprintf(b->reason, sizeof(b->reason), "%s", reason);
}

static int on_quarantine(void *ctx, uint64_t seq, unsigned code, const char *reason, const struct msg *m)
{
	struct bench *b = ctx;

	assert_non_null(reason);
	assert_non_null(m);
	if (b->quarantine_result < 0)
		return b->quarantine_result;
	b->quarantined[b->quarantine_count++] = seq;
	b->quarantine_code = code;
	return 0;
}

static void add_class(struct bench *b, const char *topic, const char *payload, enum msg_class class)
{
	struct msg_spec spec = {
		.class = class,
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
		.qos = 1,
		.expiry_s = MSG_NEVER_EXPIRES,
		.wall_ms = 1000,
	};

	b->msgs[++b->last] = msg_new(&spec);
	assert_non_null(b->msgs[b->last]);
}

static void add_topic(struct bench *b, const char *topic, const char *payload)
{
	add_class(b, topic, payload, MSG_TELEMETRY);
}

static void add(struct bench *b, int count)
{
	for (int i = 0; i < count; i++) {
		char payload[16];

		snprintf(payload, sizeof(payload), "%d", i);
		add_topic(b, "p/a", payload);
	}
	if (b->drain)
		drain_news(b->drain, b->last);
}

static void turn(struct bench *b, int64_t later_ms)
{
	b->now_ms += later_ms;
	drain_at(b->drain, b->now_ms);
	drain_turn(b->drain);
}

/* An upstream named up with one rule and no status topic; the test changes opts before begin(). */
static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->address[0] = "mqtt://one";
	b->address[1] = "mqtt://two";
	b->rules[0] = (struct bridge_rule){.out = "p/#", .qos = 1};
	b->opts = (struct bridge_opts){
		.head = {.name = "up"},
		.address = {b->address, 1},
		.version = BRIDGE_V5,
		.keep_alive_ms = 30000,
		.connect_timeout_ms = 5000,
		.ack_timeout_ms = 4000,
		.window = 10,
		.window_bytes = 1 << 20,
		.backoff_ms = 500,
		.backoff_max_ms = 3000,
		.status = "",
		.rules = {b->rules, 1},
	};
	b->now_ms = 1000000;
	fake_uplink_init(&b->up);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	drain_free(b->drain);
	for (uint64_t i = 0; i <= b->last; i++)
		msg_unref(b->msgs[i]);
	free(b);
	return 0;
}

static void begin_at(struct bench *b, uint64_t cursor)
{
	struct drain_env env = {
		.opts = &b->opts,
		.site = "plant",
		.version = "1",
		.uplink = &b->up.base,
		.source = {b, read_records},
		.host = {b, on_state, on_quarantine},
		.cursor = cursor,
		.random = no_random,
		.clock = &still,
	};

	assert_int_equal(drain_new(&b->drain, &env), 0);
	drain_at(b->drain, b->now_ms);
	drain_news(b->drain, b->last);
	drain_turn(b->drain);
}

static void begin(struct bench *b)
{
	begin_at(b, 0);
}

static void go_up(struct bench *b)
{
	fake_up(&b->up, NULL);
	turn(b, 1);
	assert_int_equal(b->state, BRIDGE_UP);
}

/* --- the window and the cursor ---------------------------------------------------------------------------------- */

static void window_bounds_what_is_in_flight(void **state)
{
	struct bench *b = *state;

	add(b, 50);
	begin(b);
	assert_int_equal(b->up.count, 0); /* not up yet */
	go_up(b);
	assert_int_equal(b->up.count, 10);
	fake_settle(&b->up, 0);
	fake_settle(&b->up, 1);
	turn(b, 1);
	assert_int_equal(b->up.count, 12);
}

static void sending_does_not_move_the_cursor(void **state)
{
	struct bench *b = *state;

	add(b, 5);
	begin(b);
	go_up(b);
	assert_int_equal(b->up.count, 5);
	assert_int_equal(drain_cursor(b->drain), 0);
}

static void cursor_moves_over_the_contiguous_part(void **state)
{
	struct bench *b = *state;

	add(b, 5);
	begin(b);
	go_up(b);
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

	add_topic(b, "other", "x");
	add_topic(b, "p/a", "y");
	add_topic(b, "other", "z");
	begin(b);
	go_up(b);
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

	add(b, 9);
	begin_at(b, 7);
	go_up(b);
	assert_int_equal(b->up.count, 2);
	assert_int_equal(b->up.got[0].seq, 8);
}

static void receive_maximum_of_the_server_bounds_the_window(void **state)
{
	struct bench *b = *state;
	struct uplink_limits limits = {.max_qos = 2, .receive_max = 3};

	add(b, 50);
	begin(b);
	fake_up(&b->up, &limits);
	turn(b, 1);
	assert_int_equal(b->up.count, 3);
}

static void window_bytes_lets_one_record_through_whatever_its_size(void **state)
{
	struct bench *b = *state;

	b->opts.window_bytes = 1;
	add(b, 3);
	begin(b);
	go_up(b);
	assert_int_equal(b->up.count, 1);
	fake_settle(&b->up, 0);
	turn(b, 1);
	assert_int_equal(b->up.count, 2);
}

static void a_backlog_of_any_length_arrives_once_and_in_order(void **state)
{
	struct bench *b = *state;

	add(b, RECORDS);
	begin(b);
	go_up(b);
	for (size_t i = 0; i < RECORDS; i++) {
		assert_true(i < b->up.count);
		fake_settle(&b->up, i);
		turn(b, 1);
	}
	assert_int_equal(b->up.count, RECORDS);
	for (size_t i = 0; i < RECORDS; i++)
		assert_int_equal(b->up.got[i].seq, i + 1);
	assert_int_equal(drain_cursor(b->drain), RECORDS);
}

static void a_busy_uplink_gets_the_same_record_later(void **state)
{
	struct bench *b = *state;

	add(b, 2);
	begin(b);
	b->up.publish_result = UPLINK_BUSY;
	go_up(b);
	assert_int_equal(b->up.count, 0);
	b->up.publish_result = 0;
	turn(b, 1);
	assert_int_equal(b->up.count, 2);
	assert_int_equal(b->up.got[0].seq, 1);
}

static void a_store_that_cannot_be_read_is_asked_again(void **state)
{
	struct bench *b = *state;
	int reads;

	add(b, 2);
	b->read_result = -5;
	begin(b);
	go_up(b);
	reads = b->reads;
	turn(b, 10);
	assert_int_equal(b->reads, reads); /* not at once */
	b->read_result = 0;
	turn(b, 1000);
	assert_int_equal(b->up.count, 2);
}

/* --- a lost link -------------------------------------------------------------------------------------------------- */

static void what_was_not_acknowledged_is_sent_again_in_order_before_anything_new(void **state)
{
	struct bench *b = *state;

	add(b, 4);
	begin(b);
	go_up(b);
	fake_settle(&b->up, 1);
	fake_down(&b->up, 0);
	assert_int_equal(b->state, BRIDGE_DOWN);
	add(b, 1);
	turn(b, 0);
	assert_int_equal(b->up.dials, 2);
	go_up(b);
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

	add(b, 3);
	begin(b);
	go_up(b);
	fake_down(&b->up, 0);
	turn(b, 0);
	fake_up(&b->up, &gone);
	turn(b, 1);
	assert_int_equal(b->up.count, 6);
	assert_int_equal(drain_cursor(b->drain), 0);
}

static void records_that_waited_for_the_link_are_late(void **state)
{
	struct bench *b = *state;

	add(b, 1);
	begin(b);
	go_up(b);
	add(b, 1);
	turn(b, 1);
	assert_true(b->up.got[0].late);
	assert_false(b->up.got[1].late);
}

static void waits_grow_with_each_failure_and_success_resets_them(void **state)
{
	struct bench *b = *state;
	static const int64_t tops[] = {500, 1000, 2000, 3000, 3000};

	add(b, 1);
	b->opts.backoff_max_ms = 3000;
	begin(b);
	for (size_t i = 0; i < 5; i++) {
		fake_down(&b->up, 0);
		assert_true(drain_due_ms(b->drain) - b->now_ms <= tops[i]);
		turn(b, tops[i]);
		assert_int_equal(b->up.dials, i + 2);
	}
	go_up(b);
	fake_settle(&b->up, 0);
	fake_down(&b->up, 0);
	assert_true(drain_due_ms(b->drain) - b->now_ms <= 500);
}

static void a_server_that_asks_for_time_gets_it(void **state)
{
	struct bench *b = *state;

	begin(b);
	fake_down(&b->up, 0x89);
	assert_true(drain_due_ms(b->drain) - b->now_ms >= b->opts.backoff_max_ms / 2);
	assert_non_null(strstr(b->reason, "server busy"));
}

static void addresses_are_tried_in_turn(void **state)
{
	struct bench *b = *state;

	b->opts.address.count = 2;
	begin(b);
	assert_string_equal(b->up.address, "mqtt://one");
	fake_down(&b->up, 0);
	turn(b, 3000);
	assert_string_equal(b->up.address, "mqtt://two");
	fake_down(&b->up, 0x9c);
	turn(b, 3000);
	assert_string_equal(b->up.address, "mqtt://one");
}

static void no_answer_to_a_dial_ends_it(void **state)
{
	struct bench *b = *state;

	begin(b);
	assert_int_equal(b->state, BRIDGE_CONNECTING);
	turn(b, 4999);
	assert_int_equal(b->state, BRIDGE_CONNECTING);
	turn(b, 1);
	assert_int_equal(b->state, BRIDGE_DOWN);
	assert_false(b->up.in_call);
}

static void a_silent_link_is_dropped(void **state)
{
	struct bench *b = *state;

	add(b, 2);
	begin(b);
	go_up(b);
	turn(b, 3000);
	fake_settle(&b->up, 0); /* it moves */
	turn(b, 3000);
	assert_int_equal(b->state, BRIDGE_UP);
	assert_true(drain_due_ms(b->drain) <= b->now_ms + 1000);
	turn(b, 1001);
	assert_int_equal(b->state, BRIDGE_DOWN);
	assert_non_null(strstr(b->reason, "ack_timeout"));
}

static void one_record_that_is_never_answered_ends_a_link_that_moves(void **state)
{
	struct bench *b = *state;
	size_t next = 1;

	add(b, 200);
	begin(b);
	go_up(b);
	for (int i = 0; i < 13 && b->state == BRIDGE_UP; i++) {
		turn(b, 1000);
		if (b->state == BRIDGE_UP && next < b->up.count)
			fake_settle(&b->up, next++);
	}
	assert_int_equal(b->state, BRIDGE_DOWN);
	assert_int_equal(drain_cursor(b->drain), 0);
}

static void an_idle_link_is_left_alone(void **state)
{
	struct bench *b = *state;

	begin(b);
	go_up(b);
	assert_int_equal(drain_due_ms(b->drain), -1);
	turn(b, 1000000);
	assert_int_equal(b->state, BRIDGE_UP);
}

static void a_shorter_keep_alive_of_the_server_is_followed_by_a_new_call(void **state)
{
	struct bench *b = *state;
	struct uplink_limits limits = {.max_qos = 2, .keep_alive_s = 10};

	begin(b);
	fake_up(&b->up, &limits);
	assert_int_equal(b->up.dials, 2);
	assert_int_equal(b->up.keep_alive_s, 10);
	fake_up(&b->up, &limits);
	turn(b, 1);
	assert_int_equal(b->up.dials, 2);
	assert_int_equal(b->state, BRIDGE_UP);
}

static void events_nobody_expects_are_survived(void **state)
{
	struct bench *b = *state;
	struct uplink_event stray = {.kind = UPLINK_SETTLED, .tag = 4000000};

	add(b, 1);
	begin(b);
	b->up.base.event(b->up.base.ctx, &stray); /* while dialing */
	go_up(b);
	b->up.base.event(b->up.base.ctx, &stray);
	stray.tag = 0;
	b->up.base.event(b->up.base.ctx, &stray);
	b->up.base.event(b->up.base.ctx, &stray); /* twice the same */
	assert_int_equal(drain_cursor(b->drain), 1);
}

/* --- refusals ------------------------------------------------------------------------------------------------------ */

static void a_refusal_that_cannot_heal_is_quarantined_and_passed(void **state)
{
	static const uint8_t codes[] = {0x90, 0x95, 0x99};
	struct bench *b = *state;

	add(b, 3);
	begin(b);
	go_up(b);
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

	add(b, 2);
	b->quarantine_result = -28;
	begin(b);
	go_up(b);
	fake_refuse(&b->up, 0, 0x95);
	fake_settle(&b->up, 1);
	turn(b, 1000);
	assert_int_equal(drain_cursor(b->drain), 0);
	b->quarantine_result = 0;
	turn(b, 5000);
	fake_refuse(&b->up, 2, 0x95);
	assert_int_equal(drain_cursor(b->drain), 2);
	assert_int_equal(b->quarantine_count, 1);
}

static void a_refusal_that_may_heal_is_no_acknowledgement(void **state)
{
	struct bench *b = *state;

	add(b, 3);
	begin(b);
	go_up(b);
	fake_refuse(&b->up, 0, 0x87);
	fake_settle(&b->up, 1);
	turn(b, 1);
	assert_int_equal(drain_cursor(b->drain), 0);
	assert_int_equal(b->up.count, 3);
	turn(b, 500);
	assert_int_equal(b->up.count, 4);
	assert_int_equal(b->up.got[3].seq, 1);
	fake_settle(&b->up, 3);
	assert_int_equal(drain_cursor(b->drain), 2);
}

static void a_record_refused_again_and_again_does_not_block_the_queue(void **state)
{
	struct bench *b = *state;

	add(b, 100);
	begin(b);
	go_up(b);
	for (int i = 0; i < 2000 && drain_cursor(b->drain) < 100; i++) {
		for (size_t k = 0; k < b->up.count; k++) {
			if (b->up.got[k].answered)
				continue;
			if (b->up.got[k].seq == 1)
				fake_refuse(&b->up, k, 0x87);
			else
				fake_settle(&b->up, k);
		}
		turn(b, 100);
	}
	assert_int_equal(drain_cursor(b->drain), 100);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 1);
}

static void a_topic_refused_for_good_is_not_waited_for_twice(void **state)
{
	struct bench *b = *state;

	add(b, 1);
	begin(b);
	go_up(b);
	for (size_t tries = 0; tries < 5; tries++) {
		while (b->up.count <= tries)
			turn(b, 100);
		fake_refuse(&b->up, tries, 0x87);
	}
	assert_int_equal(b->quarantine_count, 1);
	add(b, 1);
	turn(b, 1);
	fake_refuse(&b->up, 5, 0x87);
	assert_int_equal(b->quarantine_count, 2);
	assert_int_equal(drain_cursor(b->drain), 2);
}

static void quota_exceeded_holds_everything_for_a_while(void **state)
{
	struct bench *b = *state;

	add(b, 50);
	begin(b);
	go_up(b);
	for (size_t i = 0; i < 10; i++)
		fake_refuse(&b->up, i, 0x97);
	turn(b, 1);
	assert_int_equal(b->up.count, 10);
	assert_true(drain_due_ms(b->drain) > b->now_ms);
	turn(b, 2000);
	assert_int_equal(b->up.count, 20);
	assert_int_equal(b->up.got[10].seq, 1); /* in order, before anything new */
	assert_int_equal(b->quarantine_count, 0);
}

static void a_record_larger_than_the_server_takes_is_quarantined_unsent(void **state)
{
	struct bench *b = *state;
	struct uplink_limits limits = {.max_qos = 2, .max_packet = 60};

	add_topic(b, "p/a", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	add_topic(b, "p/a", "y");
	begin(b);
	fake_up(&b->up, &limits);
	turn(b, 1);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantine_code, 0x95);
	assert_int_equal(b->up.count, 1);
	assert_string_equal(b->up.got[0].payload, "y");
}

static void a_server_without_qos_1_is_no_upstream_for_promises(void **state)
{
	struct bench *b = *state;
	struct uplink_limits limits = {.max_qos = 0};

	add(b, 1);
	begin(b);
	fake_up(&b->up, &limits);
	turn(b, 0);
	assert_int_equal(b->up.count, 0);
	assert_int_equal(b->state, BRIDGE_DOWN);
	assert_non_null(strstr(b->reason, "qos 0"));
}

/* --- rate, status, goodbye ------------------------------------------------------------------------------------------ */

static void rate_spreads_records_over_time(void **state)
{
	struct bench *b = *state;

	b->opts.rate = 100;
	b->opts.window = 1000;
	add(b, 1000);
	begin(b);
	go_up(b);
	for (int i = 0; i < 200; i++) {
		turn(b, 10);
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
	add(b, 1);
	begin(b);
	assert_non_null(strstr(b->up.will, "plant/weir/status {\"state\":\"offline\",\"reason\":\"lost\""));
	go_up(b);
	assert_string_equal(b->up.got[0].topic, "plant/weir/status");
	assert_true(b->up.got[0].retain);
	assert_non_null(strstr(b->up.got[0].payload, "\"state\":\"online\",\"reason\":\"start\""));
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 0); /* it is no record */
}

static void goodbye_says_offline_and_leaves_after_its_acknowledgement(void **state)
{
	struct bench *b = *state;

	b->opts.status = "{site}/weir/status";
	add(b, 1);
	begin(b);
	go_up(b);
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

	begin(b);
	go_up(b);
	drain_stop(b->drain);
	turn(b, drain_due_ms(b->drain) - b->now_ms);
	assert_true(drain_stopped(b->drain));
	assert_false(b->up.in_call);
}

static void stopping_while_down_or_dialing_is_at_once(void **state)
{
	struct bench *b = *state;

	begin(b);
	drain_stop(b->drain);
	assert_true(drain_stopped(b->drain));
}

static void rules_that_come_down_are_subscribed_once_per_session(void **state)
{
	struct bench *b = *state;
	struct uplink_limits kept = {.max_qos = 2, .session_present = true};

	b->rules[1] = (struct bridge_rule){.in = "cmd/#", .qos = 1};
	b->opts.rules.count = 2;
	begin(b);
	go_up(b);
	assert_int_equal(b->up.filter_count, 1);
	assert_string_equal(b->up.filters[0], "cmd/#");
	fake_down(&b->up, 0);
	turn(b, 500);
	fake_up(&b->up, &kept);
	assert_int_equal(b->up.filter_count, 1);
	fake_down(&b->up, 0);
	turn(b, 500);
	fake_up(&b->up, NULL);
	assert_int_equal(b->up.filter_count, 2);
}

/* --- what overtakes -------------------------------------------------------------------------------------------------- */

static size_t place_of(const struct bench *b, uint64_t seq)
{
	for (size_t i = 0; i < b->up.count; i++)
		if (b->up.got[i].seq == seq)
			return i;
	return SIZE_MAX;
}

static void settle_all(struct bench *b)
{
	for (size_t k = 0; k < b->up.count; k++)
		if (!b->up.got[k].answered)
			fake_settle(&b->up, k);
}

static void settle_until(struct bench *b, uint64_t cursor)
{
	for (int i = 0; i < 5000 && drain_cursor(b->drain) < cursor; i++) {
		settle_all(b);
		turn(b, 1);
	}
	assert_int_equal(drain_cursor(b->drain), cursor);
}

static void an_alarm_overtakes_a_backlog_and_the_cursor_waits(void **state)
{
	struct bench *b = *state;

	b->opts.alarms_first = true;
	add(b, 1400);
	add_class(b, "p/alarm", "!", MSG_ALARM);
	add(b, 200);
	begin(b);
	fake_up(&b->up, NULL);
	for (int i = 0; i < 4; i++) {
		turn(b, 1);
		settle_all(b);
	}
	assert_true(place_of(b, 1401) < 60);
	assert_in_range(drain_cursor(b->drain), 10, 100);
	settle_until(b, 1601);
	assert_int_equal(b->up.count, 1601);
}

static void without_a_backlog_alarms_keep_their_place(void **state)
{
	struct bench *b = *state;

	b->opts.alarms_first = true;
	add(b, 20);
	add_class(b, "p/alarm", "!", MSG_ALARM);
	add(b, 20);
	begin(b);
	go_up(b);
	settle_until(b, 41);
	for (size_t i = 0; i < 41; i++)
		assert_int_equal(b->up.got[i].seq, i + 1);
}

static void live_records_go_beside_a_backlog_which_is_late(void **state)
{
	struct bench *b = *state;

	b->opts.order = BRIDGE_LIVE_FIRST;
	add(b, 1500);
	begin(b);
	go_up(b);
	settle_all(b);
	add(b, 3);
	turn(b, 1);
	settle_all(b);
	turn(b, 1);
	for (uint64_t seq = 1501; seq <= 1503; seq++) {
		assert_true(place_of(b, seq) < 40);
		assert_false(b->up.got[place_of(b, seq)].late);
	}
	assert_true(b->up.got[0].late);
	assert_true(drain_cursor(b->drain) < 100);
	settle_until(b, 1503);
	assert_int_equal(b->up.count, 1503);
}

static void a_short_break_does_not_turn_live_records_into_late_ones(void **state)
{
	struct bench *b = *state;

	b->opts.order = BRIDGE_LIVE_FIRST;
	add(b, 1500);
	begin(b);
	go_up(b);
	add(b, 3);
	fake_down(&b->up, 0);
	add(b, 5);
	turn(b, 3000);
	go_up(b);
	for (uint64_t seq = 1501; seq <= 1508; seq++) {
		while (place_of(b, seq) == SIZE_MAX) {
			settle_all(b);
			turn(b, 1);
		}
		assert_false(b->up.got[place_of(b, seq)].late);
	}
	assert_true(drain_cursor(b->drain) < 500);
}

static void live_records_are_fresh_while_a_limited_backlog_drains(void **state)
{
	struct bench *b = *state;
	int64_t worst = 0;

	b->opts.order = BRIDGE_LIVE_FIRST;
	b->opts.rate = 100;
	add(b, 1500);
	begin(b);
	go_up(b);
	for (int i = 0; i < 200; i++) { /* 20 live records a second for 10 s */
		int64_t made = b->now_ms;
		uint64_t seq;

		add(b, 1);
		seq = b->last;
		while (place_of(b, seq) == SIZE_MAX && b->now_ms - made < 3000) {
			turn(b, 10);
			settle_all(b);
		}
		if (b->now_ms - made > worst)
			worst = b->now_ms - made;
		turn(b, 50 - (b->now_ms - made) > 0 ? 50 - (b->now_ms - made) : 0);
	}
	assert_in_range(worst, 0, 200);
	assert_true(drain_cursor(b->drain) > 500); /* the backlog moves all the same */
}

/* A fixed sequence of random numbers, so that a failure comes back. */
static uint32_t draw(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*s >> 33);
}

/* Any mix of news, answers in any order, refusals, lost links: the cursor never passes what was not acknowledged or
 * set aside, each record is given once unless the link was lost under it, and in the end all are there. */
static void random_life(struct bench *b, uint64_t seed)
{
	static bool acked[RECORDS + 1], first[RECORDS + 1];
	uint64_t last[2] = {0, 0};
	bool stream;
	uint64_t s = seed;

	memset(acked, 0, sizeof(acked));
	b->opts.order = draw(&s) % 2 ? BRIDGE_LIVE_FIRST : BRIDGE_FIFO;
	b->opts.alarms_first = draw(&s) % 2;
	b->opts.window = 1 + draw(&s) % 30;
	add(b, (int)(draw(&s) % 1400));
	begin(b);
	for (int i = 0; i < 20000; i++) {
		size_t from = b->up.count > 130 ? b->up.count - 130 : 0;
		size_t k = from + draw(&s) % (b->up.count - from + 1);
		uint32_t what = draw(&s) % 100;

		if (i > 400 && drain_cursor(b->drain) == b->last)
			break;
		if (b->up.count > FAKE_PARCELS - 200)
			break;
		if (what == 0 && i < 300) {
			fake_down(&b->up, 0);
		} else if (what < 10 && i < 300 && b->last < RECORDS - 10) {
			add_class(b, "p/a", "x", draw(&s) % 5 ? MSG_TELEMETRY : MSG_ALARM);
			drain_news(b->drain, b->last);
		} else {
			for (size_t n = 0; n < 40 && k < b->up.count; n++, k++) {
				if (b->up.got[k].answered || !b->up.in_call)
					continue;
				if (what < 12) {
					fake_refuse(&b->up, k, 0x80);
				} else {
					fake_settle(&b->up, k);
					acked[b->up.got[k].seq] = true;
				}
			}
		}
		if (!b->up.in_call || b->state != BRIDGE_UP) {
			for (size_t n = 0; n < b->up.count; n++) /* what the lost link had is given again */
				b->up.got[n].answered = true;
			turn(b, 3000);
			if (b->up.in_call)
				fake_up(&b->up, NULL);
		}
		turn(b, draw(&s) % 700);
		for (size_t q = 0; q < b->quarantine_count; q++)
			acked[b->quarantined[q]] = true;
		for (uint64_t seq = 1; seq <= drain_cursor(b->drain); seq++)
			assert_true(acked[seq]);
		assert_true(b->up.count == 0 || b->quarantine_count < 60);
	}
	assert_int_equal(drain_cursor(b->drain), b->last);
	memset(first, 0, sizeof(first));
	for (size_t i = 0; i < b->up.count; i++) {
		const struct fake_parcel *p = &b->up.got[i];

		assert_true(p->again || !first[p->seq]);
		first[p->seq] = true;
		if (p->again || b->opts.alarms_first)
			continue;
		/* Two streams, each in order; with fifo they are one. */
		stream = b->opts.order == BRIDGE_LIVE_FIRST && p->late;
		assert_true(p->seq > last[stream]);
		last[stream] = p->seq;
	}
}

static void any_life_ends_with_everything_there(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		void *b;

		setup(&b);
		random_life(b, seed);
		teardown(&b);
	}
}

static void a_status_from_the_queue_does_not_replace_the_present_one(void **state)
{
	struct bench *b = *state;

	b->opts.status = "p/status";
	add_topic(b, "p/status", "offline since yesterday");
	add(b, 1);
	begin(b);
	go_up(b);
	settle_all(b);
	assert_int_equal(drain_cursor(b->drain), 2);
	for (size_t i = 0; i < b->up.count; i++)
		assert_null(strstr(b->up.got[i].payload, "yesterday"));
}

static void another_address_is_left_for_the_first_after_a_while(void **state)
{
	struct bench *b = *state;

	b->opts.address.count = 2;
	b->opts.return_ms = 60000;
	add(b, 1);
	begin(b);
	fake_down(&b->up, 0);
	turn(b, 3000);
	go_up(b);
	assert_string_equal(b->up.address, "mqtt://two");
	settle_all(b);
	assert_in_range(drain_due_ms(b->drain) - b->now_ms, 1, 60000);
	turn(b, 60000);
	assert_string_equal(b->up.address, "mqtt://one");
	fake_down(&b->up, 0); /* still dead */
	turn(b, 200);
	assert_string_equal(b->up.address, "mqtt://two");
}

static void a_lost_link_is_dialled_again_where_it_was(void **state)
{
	struct bench *b = *state;

	b->opts.address.count = 2;
	begin(b);
	go_up(b);
	fake_down(&b->up, 0);
	turn(b, 3000);
	assert_string_equal(b->up.address, "mqtt://one");
	fake_down(&b->up, 0);
	turn(b, 200);
	assert_string_equal(b->up.address, "mqtt://two");
}

static void rate_bytes_counts_whole_packets(void **state)
{
	struct bench *b = *state;

	b->opts.rate_bytes = 1000; /* a record is about 50 bytes */
	b->opts.window = 1000;
	add(b, 1000);
	begin(b);
	go_up(b);
	for (int i = 0; i < 200; i++) {
		turn(b, 10);
		settle_all(b);
	}
	assert_in_range(b->up.count, 30, 60);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(window_bounds_what_is_in_flight),
		T(sending_does_not_move_the_cursor),
		T(cursor_moves_over_the_contiguous_part),
		T(records_no_rule_selects_are_passed),
		T(draining_begins_after_the_cursor),
		T(receive_maximum_of_the_server_bounds_the_window),
		T(window_bytes_lets_one_record_through_whatever_its_size),
		T(a_backlog_of_any_length_arrives_once_and_in_order),
		T(a_busy_uplink_gets_the_same_record_later),
		T(a_store_that_cannot_be_read_is_asked_again),
		T(what_was_not_acknowledged_is_sent_again_in_order_before_anything_new),
		T(session_present_0_means_send_again),
		T(records_that_waited_for_the_link_are_late),
		T(waits_grow_with_each_failure_and_success_resets_them),
		T(a_server_that_asks_for_time_gets_it),
		T(addresses_are_tried_in_turn),
		T(no_answer_to_a_dial_ends_it),
		T(a_silent_link_is_dropped),
		T(one_record_that_is_never_answered_ends_a_link_that_moves),
		T(an_idle_link_is_left_alone),
		T(a_shorter_keep_alive_of_the_server_is_followed_by_a_new_call),
		T(events_nobody_expects_are_survived),
		T(a_refusal_that_cannot_heal_is_quarantined_and_passed),
		T(a_record_that_cannot_be_set_aside_is_not_passed),
		T(a_refusal_that_may_heal_is_no_acknowledgement),
		T(a_record_refused_again_and_again_does_not_block_the_queue),
		T(a_topic_refused_for_good_is_not_waited_for_twice),
		T(quota_exceeded_holds_everything_for_a_while),
		T(a_record_larger_than_the_server_takes_is_quarantined_unsent),
		T(a_server_without_qos_1_is_no_upstream_for_promises),
		T(rate_spreads_records_over_time),
		T(status_is_retained_online_and_the_will_says_offline),
		T(goodbye_says_offline_and_leaves_after_its_acknowledgement),
		T(goodbye_does_not_wait_for_ever),
		T(stopping_while_down_or_dialing_is_at_once),
		T(rules_that_come_down_are_subscribed_once_per_session),
		T(an_alarm_overtakes_a_backlog_and_the_cursor_waits),
		T(without_a_backlog_alarms_keep_their_place),
		T(live_records_go_beside_a_backlog_which_is_late),
		T(a_short_break_does_not_turn_live_records_into_late_ones),
		T(live_records_are_fresh_while_a_limited_backlog_drains),
		T(any_life_ends_with_everything_there),
		T(a_status_from_the_queue_does_not_replace_the_present_one),
		T(another_address_is_left_for_the_first_after_a_while),
		T(a_lost_link_is_dialled_again_where_it_was),
		T(rate_bytes_counts_whole_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
