/* SPDX-License-Identifier: MIT */
#include "tests/bridge/limits_rig.h"

#include <stdlib.h>
#include <string.h>

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

void limits_add_as(struct bench *b, const char *topic, const char *payload, enum msg_class class, bool gap)
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

void limits_add(struct bench *b, const char *topic, const char *payload)
{
	limits_add_as(b, topic, payload, MSG_TELEMETRY, false);
}

void limits_turn(struct bench *b, int64_t later_ms)
{
	b->now_ms += later_ms;
	b->wall_ms += later_ms;
	drain_at(b->drain, b->now_ms);
	drain_turn(b->drain);
}

int limits_setup(void **state)
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

int limits_teardown(void **state)
{
	struct bench *b = *state;

	drain_free(b->drain);
	for (uint64_t i = 1; i <= b->last; i++)
		msg_unref(b->records[i].msg);
	free(b);
	return 0;
}

void limits_begin_at(struct bench *b, uint64_t cursor)
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
	limits_turn(b, 1);
}

const char *limits_sent(const struct bench *b, size_t i)
{
	assert_true(i < b->up.count);
	return b->up.got[i].payload;
}

/* Seqs of the records in a message, from their envelopes. */
size_t limits_seqs_of(const char *text, uint64_t *out, size_t max)
{
	size_t n = 0;

	while ((text = strstr(text, "\"seq\":")) != NULL) {
		text += 6;
		assert_true(n < max);
		out[n++] = strtoull(text, NULL, 10);
	}
	return n;
}

void limits_assert_seqs(const struct bench *b, size_t i, size_t count, const uint64_t *want)
{
	uint64_t got[64];

	assert_int_equal(limits_seqs_of(limits_sent(b, i), got, 64), count);
	assert_memory_equal(got, want, count * sizeof(*want));
}

struct bridge_counts limits_counts(const struct bench *b)
{
	struct bridge_counts c;

	drain_counts(b->drain, &c);
	return c;
}

void limits_settle_all(struct bench *b, size_t *settled)
{
	while (*settled < b->up.count) {
		fake_settle(&b->up, (*settled)++);
		limits_turn(b, 0);
	}
}
