/* SPDX-License-Identifier: MIT */
/* Batches, report by change, schedule and a day's bytes, as the drain keeps its promises with them. */
#include "bridge/drain.h"
#include "tests/bridge/fake_uplink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RECORDS = 6000, HOUR_MS = 3600000 };

struct bench {
	struct clock clock;
	int64_t wall_ms, now_ms;
	struct fake_uplink up;
	struct drain *drain;
	struct bridge_opts opts;
	struct bridge_rule rule;
	const char *address[1];
	struct store_record records[RECORDS + 1]; /* by seq */
	uint64_t last;
	uint64_t aside[64];
	size_t aside_count;
	int aside_result;
	int64_t kept_day, kept_bytes;
};

static int64_t mono(const struct clock *c)
{
	return ((const struct bench *)c)->now_ms * 1000; /* clock is its first member */
}

static int64_t wall(const struct clock *c)
{
	return ((const struct bench *)c)->wall_ms;
}

static uint32_t no_random(void)
{
	return 0;
}

static int read_records(void *ctx, size_t lane, uint64_t after, struct store_record *out, size_t max)
{
	struct bench *b = ctx;
	size_t n = 0;

	(void)lane;
	for (uint64_t seq = after + 1; seq <= b->last && n < max; seq++)
		out[n++] = b->records[seq];
	return (int)n;
}

static void on_state(void *ctx, enum bridge_state state, const char *reason)
{
	(void)ctx;
	(void)state;
	(void)reason;
}

static int on_aside(void *ctx, const struct aside *a)
{
	struct bench *b = ctx;

	assert_true(a->code > 0 && a->reason && a->m);
	if (b->aside_result < 0)
		return b->aside_result;
	b->aside[b->aside_count++] = a->seq;
	return 0;
}

static int on_spent(void *ctx, int64_t day, int64_t bytes)
{
	struct bench *b = ctx;

	b->kept_day = day;
	b->kept_bytes = bytes;
	return 0;
}

static void add_as(struct bench *b, const char *topic, const char *payload, enum msg_class class, bool gap)
{
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
		.class = class,
		.qos = 1,
		.expiry_s = MSG_NEVER_EXPIRES,
		.taken_ms = b->now_ms,
		.wall_ms = b->wall_ms,
	};

	assert_true(b->last < RECORDS);
	b->last++;
	b->records[b->last] = (struct store_record){.seq = b->last, .msg = msg_new(&spec), .gap = gap};
	assert_non_null(b->records[b->last].msg);
	if (b->drain)
		drain_news(b->drain, b->last);
}

static void add(struct bench *b, const char *topic, const char *payload)
{
	add_as(b, topic, payload, MSG_TELEMETRY, false);
}

static void turn(struct bench *b, int64_t later_ms)
{
	b->now_ms += later_ms;
	b->wall_ms += later_ms;
	drain_at(b->drain, b->now_ms);
	drain_turn(b->drain);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->clock = (struct clock){mono, wall};
	b->address[0] = "mqtt://one";
	b->rule = (struct bridge_rule){.out = "p/#",
		.qos = 1,
		.topic = "up",
		.payload = BRIDGE_ENVELOPE,
		.batch = {.records = 4, .bytes = 65536, .age_ms = 1000}};
	b->opts = (struct bridge_opts){
		.head = {.name = "up"},
		.address = {b->address, 1},
		.version = BRIDGE_V5,
		.keep_alive_ms = 30000,
		.connect_timeout_ms = 5000,
		.ack_timeout_ms = INT64_C(1000) * HOUR_MS,
		.window = 10,
		.window_bytes = 1 << 20,
		.backoff_ms = 500,
		.backoff_max_ms = 3000,
		.time_zone = BRIDGE_UTC,
		.exempt = 1 << MSG_ALARM,
		.status = "",
		.rules = {&b->rule, 1},
	};
	b->now_ms = 1000000;
	b->wall_ms = INT64_C(20000) * 24 * HOUR_MS + 12 * HOUR_MS; /* noon */
	fake_uplink_init(&b->up);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	drain_free(b->drain);
	for (uint64_t i = 1; i <= b->last; i++)
		msg_unref(b->records[i].msg);
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
		.host = {b, on_state, on_aside},
		.cursor = cursor,
		.random = no_random,
		.clock = &b->clock,
		.meter = {b, on_spent, b->kept_day, b->kept_bytes},
	};

	assert_int_equal(drain_new(&b->drain, &env), 0);
	drain_at(b->drain, b->now_ms);
	drain_news(b->drain, b->last);
	drain_turn(b->drain);
	fake_up(&b->up, NULL);
	turn(b, 1);
}

static const char *sent(const struct bench *b, size_t i)
{
	assert_true(i < b->up.count);
	return b->up.got[i].payload;
}

/* Seqs of the records in a message, from their envelopes. */
static size_t seqs_of(const char *text, uint64_t *out, size_t max)
{
	size_t n = 0;

	while ((text = strstr(text, "\"seq\":")) != NULL) {
		text += 6;
		assert_true(n < max);
		out[n++] = strtoull(text, NULL, 10);
	}
	return n;
}

static void assert_seqs(const struct bench *b, size_t i, size_t count, const uint64_t *want)
{
	uint64_t got[64];

	assert_int_equal(seqs_of(sent(b, i), got, 64), count);
	assert_memory_equal(got, want, count * sizeof(*want));
}
#define SEQS(b, i, ...)                                                                                                \
	assert_seqs(b, i, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (const uint64_t[]){__VA_ARGS__})

static struct bridge_counts counts(const struct bench *b)
{
	struct bridge_counts c;

	drain_counts(b->drain, &c);
	return c;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static void a_batch_goes_when_it_is_full_and_settles_all_its_records(void **state)
{
	struct bench *b = *state;

	begin_at(b, 0);
	for (int i = 0; i < 4; i++)
		add(b, i % 2 ? "p/b" : "p/a", "{\"v\":1}");
	add(b, "p/c", "5");
	turn(b, 1);
	assert_int_equal(b->up.count, 1);
	SEQS(b, 0, 1, 2, 3, 4);
	assert_int_equal(drain_cursor(b->drain), 0);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 4); /* 5 waits for others, and pins it */
	assert_int_equal(counts(b).acknowledged, 4);
	turn(b, 999);
	assert_int_equal(b->up.count, 1);
	turn(b, 1);
	SEQS(b, 1, 5); /* its age is reached */
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 5);
}

static void the_drain_wakes_for_the_age_of_a_batch(void **state)
{
	struct bench *b = *state;

	begin_at(b, 0);
	add(b, "p/a", "1");
	turn(b, 1);
	assert_int_equal(drain_due_ms(b->drain), b->now_ms + 1000);
}

static void an_envelope_tells_all(void **state)
{
	struct bench *b = *state;

	b->rule.batch.records = 2;
	begin_at(b, 0);
	add_as(b, "p/a", "{\"v\":1,\n\"q\":\"good\"}", MSG_ALARM, false);
	add(b, "p/b", "some \"text\"");
	turn(b, 1);
	assert_string_equal(sent(b, 0),
		"[{\"topic\":\"p/a\",\"seq\":1,\"t\":1728043200001,\"class\":\"alarm\",\"q\":\"good\","
		"\"payload\":{\"v\":1, \"q\":\"good\"}},"
		"{\"topic\":\"p/b\",\"seq\":2,\"t\":1728043200001,\"text\":\"some \\\"text\\\"\"}]");
}

static void lines_stand_one_under_the_other(void **state)
{
	struct bench *b = *state;

	b->rule.batch.records = 2;
	b->rule.batch.format = BRIDGE_BATCH_LINES;
	b->opts.mark = BRIDGE_MARK_NONE;
	begin_at(b, 0);
	add(b, "p/a", "1");
	add(b, "p/b", "\r\n2\n");
	turn(b, 1);
	assert_string_equal(sent(b, 0), "{\"topic\":\"p/a\",\"t\":1728043200001,\"payload\":1}\n"
					"{\"topic\":\"p/b\",\"t\":1728043200001,\"payload\":  2 }\n");
}

static void each_topic_upstream_has_a_batch_of_its_own(void **state)
{
	struct bench *b = *state;

	b->rule.topic = "dev/{#}";
	b->rule.batch.records = 2;
	begin_at(b, 0);
	add(b, "p/a", "1");
	add(b, "p/b", "2");
	add(b, "p/b", "3");
	turn(b, 1);
	assert_int_equal(b->up.count, 1);
	assert_string_equal(b->up.got[0].topic, "dev/b");
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 0); /* 1 has not left yet */
	turn(b, 1000);
	assert_string_equal(b->up.got[1].topic, "dev/a");
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 3);
}

static void batches_acknowledged_out_of_order_do_not_move_the_cursor_too_far(void **state)
{
	struct bench *b = *state;

	begin_at(b, 0);
	for (int i = 0; i < 12; i++)
		add(b, "p/a", "1");
	turn(b, 1);
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

	begin_at(b, 0);
	for (int i = 0; i < 8; i++)
		add(b, "p/a", "1");
	turn(b, 1);
	fake_down(&b->up, 0);
	turn(b, 5000);
	fake_up(&b->up, NULL);
	turn(b, 1);
	assert_int_equal(b->up.count, 4);
	SEQS(b, 2, 1, 2, 3, 4);
	SEQS(b, 3, 5, 6, 7, 8);
	assert_non_null(strstr(sent(b, 2), "\"again\":1"));
	assert_null(strstr(sent(b, 0), "\"again\""));
}

static void what_was_in_a_batch_when_the_process_died_comes_again(void **state)
{
	struct bench *b = *state;

	begin_at(b, 0);
	for (int i = 0; i < 6; i++)
		add(b, "p/a", "1");
	turn(b, 1);
	assert_int_equal(drain_cursor(b->drain), 0);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 4);
	drain_free(b->drain); /* 5 and 6 were in an open batch */
	b->drain = NULL;
	fake_uplink_init(&b->up);
	b->up.count = 0;
	begin_at(b, 4);
	turn(b, 1000);
	SEQS(b, 0, 5, 6);
}

/* A bad record among others is found by halves: it alone is set aside. */
static void a_poisoned_batch_comes_apart_around_its_poison(void **state)
{
	static const uint8_t codes[] = {0x95, 0x99};
	struct bench *b = *state;
	uint64_t taken[64], n = 0;

	b->rule.batch.records = 16;
	begin_at(b, 0);
	for (int i = 1; i <= 16; i++)
		add(b, "p/a", i == 11 ? "666" : "1");
	turn(b, 1);
	for (size_t i = 0; i < b->up.count; i++) {
		if (strstr(sent(b, i), "666")) {
			fake_refuse(&b->up, i, codes[i % 2]);
		} else {
			n += seqs_of(sent(b, i), taken + n, 64 - n);
			fake_settle(&b->up, i);
		}
		turn(b, 1);
	}
	assert_int_equal(b->aside_count, 1);
	assert_int_equal(b->aside[0], 11);
	assert_int_equal(n, 15);
	for (size_t i = 0; i + 1 < n; i++)
		assert_true(taken[i] < taken[i + 1]); /* in order, and none twice */
	assert_int_equal(drain_cursor(b->drain), 16);
	assert_true(b->up.count < 12);
	assert_int_equal(counts(b).acknowledged, 15);
}

static void a_batch_larger_than_a_packet_goes_in_parts_and_in_order(void **state)
{
	struct bench *b = *state;
	uint64_t got[64], n = 0;

	b->rule.batch.records = 16;
	b->opts.max_packet = 260;
	begin_at(b, 0);
	for (int i = 0; i < 16; i++)
		add(b, "p/a", "1");
	turn(b, 1);
	for (size_t i = 0; i < b->up.count; i++) {
		assert_true(strlen(sent(b, i)) < 260);
		n += seqs_of(sent(b, i), got + n, 64 - n);
		fake_settle(&b->up, i);
		turn(b, 1);
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

	begin_at(b, 0);
	for (int i = 0; i < 4; i++)
		add(b, "p/a", "1");
	turn(b, 1);
	fake_refuse(&b->up, 0, 0x90);
	assert_int_equal(b->aside_count, 4);
	assert_int_equal(drain_cursor(b->drain), 4);
}

static void a_batch_that_cannot_be_set_aside_is_passed_by_nobody(void **state)
{
	struct bench *b = *state;

	b->aside_result = -28;
	begin_at(b, 0);
	for (int i = 0; i < 4; i++)
		add(b, "p/a", "1");
	turn(b, 1);
	fake_refuse(&b->up, 0, 0x90);
	assert_int_equal(drain_cursor(b->drain), 0);
	b->aside_result = 0;
	turn(b, 5000);
	fake_refuse(&b->up, 1, 0x90);
	assert_int_equal(b->aside_count, 4);
	assert_int_equal(drain_cursor(b->drain), 4);
}

static void a_gap_record_comes_after_all_that_was_before_it(void **state)
{
	struct bench *b = *state;

	begin_at(b, 0);
	add(b, "p/a", "1");
	add(b, "p/b", "2");
	add_as(b, "weir/event", "{\"gap\":1}", MSG_EVENT, true);
	add(b, "p/a", "3");
	turn(b, 1);
	assert_int_equal(b->up.count, 2);
	SEQS(b, 0, 1, 2);
	assert_string_equal(b->up.got[1].topic, "weir/event");
	turn(b, 1000);
	SEQS(b, 2, 4);
}

static void expired_records_are_left_out_of_a_batch(void **state)
{
	struct bench *b = *state;

	begin_at(b, 0);
	add(b, "p/a", "1");
	add(b, "p/a", "2");
	b->records[1].msg->expiry_s = 0;
	turn(b, 1);
	turn(b, 1000);
	SEQS(b, 0, 2);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 2);
	assert_int_equal(counts(b).expired, 1);
}

static void the_rule_says_when_a_record_is_too_old(void **state)
{
	struct bench *b = *state;

	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1, .expiry_ms = 60000};
	add(b, "p/a", "old");
	b->now_ms += 59000;
	add(b, "p/a", "new");
	b->now_ms += 2000;
	begin_at(b, 0);
	assert_int_equal(b->up.count, 1);
	assert_string_equal(sent(b, 0), "new");
	assert_int_equal(counts(b).expired, 1);
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
		add(b, topic, "1");
	}
	begin_at(b, 0);
	for (size_t i = 0; drain_cursor(b->drain) < 3000; i++) {
		uint64_t got[8];
		size_t n;

		if (i == b->up.count)
			turn(b, 1000);
		n = seqs_of(sent(b, i), got, 8);
		for (size_t k = 0; k < n; k++) {
			assert_false(seen[got[k]]);
			seen[got[k]] = true;
		}
		fake_settle(&b->up, i);
		turn(b, 0);
	}
	for (int seq = 1; seq <= 3000; seq++)
		assert_true(seen[seq]);
}

/* --- report by change --------------------------------------------------------------------------------------------- */

static void what_is_not_reported_is_passed_and_counted(void **state)
{
	struct bench *b = *state;

	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1, .report = BRIDGE_REPORT_CHANGE, .deadband = 1};
	begin_at(b, 0);
	add(b, "p/a", "10");
	for (int i = 0; i < 9; i++)
		add(b, "p/a", "10.5");
	add(b, "p/b", "10.5");
	turn(b, 1);
	assert_int_equal(b->up.count, 2);
	fake_settle(&b->up, 0);
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 11);
	assert_int_equal(counts(b).settled, 9);
}

static void a_held_record_pins_the_cursor_until_it_is_acknowledged(void **state)
{
	struct bench *b = *state;

	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1, .min_interval_ms = 10000};
	begin_at(b, 0);
	add(b, "p/a", "1");
	turn(b, 1);
	add(b, "p/a", "2");
	add(b, "p/b", "3");
	turn(b, 1);
	fake_settle(&b->up, 0);
	fake_settle(&b->up, 1);
	assert_int_equal(drain_cursor(b->drain), 1);
	turn(b, 9999);
	turn(b, 200);
	assert_int_equal(b->up.count, 3);
	assert_string_equal(sent(b, 2), "2");
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
	begin_at(b, 0);
	add(b, "p/a", "1");
	turn(b, 1);
	add(b, "p/a", "2");
	add(b, "p/b", "3");
	turn(b, 1);
	turn(b, 10200);
	assert_int_equal(b->up.count, 0);
	turn(b, 10000);
	SEQS(b, 0, 1, 3, 2);
	assert_int_equal(drain_cursor(b->drain), 0);
	fake_settle(&b->up, 0);
	assert_int_equal(drain_cursor(b->drain), 3);
}

/* --- the gate ----------------------------------------------------------------------------------------------------- */

static void begin_with_schedule(struct bench *b, int order)
{
	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1};
	b->opts.schedule = "22:00-06:00";
	b->opts.order = order;
	begin_at(b, 0);
}

static void settle_all(struct bench *b, size_t *settled)
{
	while (*settled < b->up.count) {
		fake_settle(&b->up, (*settled)++);
		turn(b, 0);
	}
}

static void out_of_hours_only_alarms_go(void **state)
{
	static const int orders[] = {BRIDGE_FIFO, BRIDGE_LIVE_FIRST};

	for (size_t o = 0; o < 2; o++) {
		struct bench *b;
		size_t settled = 0;

		if (o > 0) {
			teardown(state);
			setup(state);
		}
		b = *state;
		begin_with_schedule(b, orders[o]);
		for (int i = 0; i < 20; i++)
			add_as(b, "p/a", "1", i % 10 == 9 ? MSG_ALARM : MSG_TELEMETRY, false);
		turn(b, 1);
		settle_all(b, &settled);
		assert_int_equal(b->up.count, 2);
		assert_int_equal(b->up.got[0].seq, 10);
		assert_int_equal(b->up.got[1].seq, 20);
		assert_int_equal(drain_cursor(b->drain), 0);
		assert_int_equal(counts(b).waits, BRIDGE_WAITS_HOURS);
		turn(b, 10 * HOUR_MS); /* 22:00 */
		add(b, "p/a", "live");
		turn(b, 0);
		settle_all(b, &settled);
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
	add(b, "p/a", "1");
	turn(b, 10 * HOUR_MS);
	add(b, "p/a", "2");
	turn(b, 1);
	settle_all(b, &settled);
	assert_true(b->up.got[0].late);
	assert_false(b->up.got[1].late);
}

static void a_record_is_not_sent_again_out_of_hours(void **state)
{
	struct bench *b = *state;

	begin_with_schedule(b, BRIDGE_FIFO);
	turn(b, 10 * HOUR_MS);
	add(b, "p/a", "1");
	turn(b, 1);
	assert_int_equal(b->up.count, 1);
	turn(b, 8 * HOUR_MS);
	fake_down(&b->up, 0);
	turn(b, 5000);
	fake_up(&b->up, NULL);
	turn(b, 1);
	assert_int_equal(b->up.count, 1);
	turn(b, 17 * HOUR_MS);
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
	begin_at(b, 0);
	for (int i = 0; i < 500; i++)
		add(b, "p/a", "0123456789");
	turn(b, 1);
	settle_all(b, &settled);
	first = drain_cursor(b->drain);
	assert_true(first > 50 && first < 200);
	assert_int_equal(counts(b).waits, BRIDGE_WAITS_DAY);
	assert_true(counts(b).day_bytes <= 5000);
	assert_true(counts(b).day_bytes > 4900);
	add_as(b, "p/a", "fire", MSG_ALARM, false);
	turn(b, 1);
	assert_string_equal(sent(b, first), "fire"); /* exempt */
	drain_free(b->drain);
	b->drain = NULL;
	fake_uplink_init(&b->up);
	b->up.count = settled = 0;
	begin_at(b, first);
	turn(b, 1);
	settle_all(b, &settled);
	assert_int_equal(b->up.count, 1); /* the alarm, once more; nothing else today */
	turn(b, 12 * HOUR_MS);
	settle_all(b, &settled);
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
	begin_at(b, 0);
	add(b, "p/a", big);
	add(b, "p/a", "1");
	turn(b, 1);
	assert_int_equal(b->aside_count, 1);
	assert_string_equal(sent(b, 0), "1");
}

/* 20 s in uneven turns, each record acknowledged as it comes. */
static void live_on(struct bench *b)
{
	for (int i = 0; i < 20000; i += 7) {
		turn(b, 7);
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
	begin_at(b, 0);
	for (int i = 0; i < 2000; i++)
		add(b, "p/a", "0123456789");
	live_on(b);
	assert_in_range(b->up.count, 1000, 1006);
	drain_free(b->drain);
	b->drain = NULL;
	fake_uplink_init(&b->up);
	b->up.count = 0;
	b->opts.rate = 0;
	b->opts.rate_bytes = 1000;
	b->opts.day_bytes = 1 << 20; /* counts for us */
	begin_at(b, 0);
	live_on(b);
	bytes = counts(b).day_bytes;
	assert_in_range(bytes, 20000, 20200);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_batch_goes_when_it_is_full_and_settles_all_its_records),
		T(the_drain_wakes_for_the_age_of_a_batch),
		T(an_envelope_tells_all),
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
		T(what_is_not_reported_is_passed_and_counted),
		T(a_held_record_pins_the_cursor_until_it_is_acknowledged),
		T(a_held_record_may_end_in_a_batch),
		T(out_of_hours_only_alarms_go),
		T(what_waited_for_its_hour_is_late),
		T(a_record_is_not_sent_again_out_of_hours),
		T(a_day_of_bytes_is_not_exceeded_over_a_restart),
		T(a_record_larger_than_a_day_is_set_aside),
		T(rates_are_kept_to_the_message_and_the_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
