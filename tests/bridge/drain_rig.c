/* SPDX-License-Identifier: MIT */
#include "tests/bridge/drain_rig.h"

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

	if (lane == LANE_BACK) {
		for (size_t i = 0; i < b->back_count && n < max; i++)
			if (b->back[i].seq > after)
				out[n++] = b->back[i];
		return (int)n;
	}
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

static int on_quarantine(void *ctx, const struct aside *a)
{
	struct bench *b = ctx;

	assert_non_null(a->reason);
	assert_non_null(a->m);
	if (b->quarantine_result < 0)
		return b->quarantine_result;
	b->quarantined[b->quarantine_count++] = a->seq;
	b->quarantine_code = a->code;
	return 0;
}

static struct msg *make(const char *topic, const char *payload, enum msg_class class)
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
	struct msg *m = msg_new(&spec);

	assert_non_null(m);
	return m;
}

void rig_put_back(struct bench *b, uint64_t seq, const char *topic, const char *payload)
{
	b->back[b->back_count++] = (struct store_record){.seq = seq, .msg = make(topic, payload, MSG_TELEMETRY)};
}

void rig_add_class(struct bench *b, const char *topic, const char *payload, enum msg_class class)
{
	b->msgs[++b->last] = make(topic, payload, class);
}

void rig_add_topic(struct bench *b, const char *topic, const char *payload)
{
	rig_add_class(b, topic, payload, MSG_TELEMETRY);
}

void rig_add(struct bench *b, int count)
{
	for (int i = 0; i < count; i++) {
		char payload[16];

		snprintf(payload, sizeof(payload), "%d", i);
		rig_add_topic(b, "p/a", payload);
	}
	if (b->drain)
		drain_news(b->drain, b->last);
}

void rig_turn(struct bench *b, int64_t later_ms)
{
	b->now_ms += later_ms;
	drain_at(b->drain, b->now_ms);
	drain_turn(b->drain);
}

int rig_setup(void **state)
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

int rig_teardown(void **state)
{
	struct bench *b = *state;

	drain_free(b->drain);
	for (uint64_t i = 0; i <= b->last; i++)
		msg_unref(b->msgs[i]);
	for (size_t i = 0; i < b->back_count; i++)
		msg_unref(b->back[i].msg);
	free(b);
	return 0;
}

void rig_begin_at(struct bench *b, uint64_t cursor)
{
	struct drain_env env = {
		.opts = &b->opts,
		.site = "plant",
		.version = "1",
		.uplink = &b->up.base,
		.source = {b, read_records},
		.exact = b->exact,
		.roll = b->roll,
		.echo = b->echo,
		.start_reason = b->start_reason,
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

void rig_begin(struct bench *b)
{
	rig_begin_at(b, 0);
}

void rig_go_up(struct bench *b)
{
	fake_up(&b->up, NULL);
	rig_turn(b, 1);
	assert_int_equal(b->state, BRIDGE_UP);
}

size_t rig_place_of(const struct bench *b, uint64_t seq)
{
	for (size_t i = 0; i < b->up.count; i++)
		if (b->up.got[i].seq == seq)
			return i;
	return SIZE_MAX;
}

void rig_settle_all(struct bench *b)
{
	for (size_t k = 0; k < b->up.count; k++)
		if (!b->up.got[k].answered)
			fake_settle(&b->up, k);
}

void rig_settle_until(struct bench *b, uint64_t cursor)
{
	for (int i = 0; i < 5000 && drain_cursor(b->drain) < cursor; i++) {
		rig_settle_all(b);
		rig_turn(b, 1);
	}
	assert_int_equal(drain_cursor(b->drain), cursor);
}
