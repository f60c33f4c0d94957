/* SPDX-License-Identifier: MIT */
#include "store/gap.h"

#include "base/json.h"
#include "store/packed.h"

#include <errno.h>
#include <string.h>

static const char *const reasons[] = {[GAP_EVICTED] = "evicted", [GAP_DAMAGED] = "damaged", [GAP_THINNED] = "thinned"};
static const char *const classes[] = {"bulk", "telemetry", "event", "alarm"};

enum { N_REASONS = sizeof(reasons) / sizeof(reasons[0]), MORE_TOPICS = 0x80 };

void gap_init(struct gap *g, enum gap_reason reason)
{
	g->reason = reason;
	g->first = g->last = g->count = 0;
	memset(g->classes, 0, sizeof(g->classes));
	g->from_ms = INT64_MAX;
	g->to_ms = INT64_MIN;
	g->topic_count = 0;
	g->more_topics = false;
	g->names_len = 0;
}

static void add_topic(struct gap *g, struct span topic)
{
	for (unsigned i = 0; i < g->topic_count; i++)
		if (g->topics[i].len == topic.len && memcmp(g->names + g->topics[i].at, topic.at, topic.len) == 0)
			return;
	if (g->topic_count == GAP_TOPICS || topic.len > sizeof(g->names) - g->names_len) {
		g->more_topics = true;
		return;
	}
	g->topics[g->topic_count++] = (struct gap_topic){(uint16_t)g->names_len, (uint16_t)topic.len};
	memcpy(g->names + g->names_len, topic.at, topic.len);
	g->names_len += topic.len;
}

static void widen(struct gap *g, uint64_t first, uint64_t last, int64_t from_ms, int64_t to_ms)
{
	if (g->last == 0 || first < g->first)
		g->first = first;
	if (last > g->last)
		g->last = last;
	if (from_ms < g->from_ms)
		g->from_ms = from_ms;
	if (to_ms > g->to_ms)
		g->to_ms = to_ms;
}

void gap_add(struct gap *g, uint64_t seq, unsigned class, int64_t wall_ms, struct span topic)
{
	widen(g, seq, seq, wall_ms, wall_ms);
	g->count++;
	g->classes[class & 3]++;
	add_topic(g, topic);
}

void gap_merge(struct gap *g, const struct gap *other)
{
	widen(g, other->first, other->last, other->from_ms, other->to_ms);
	g->count += other->count;
	for (int i = 0; i < 4; i++)
		g->classes[i] += other->classes[i];
	for (unsigned i = 0; i < other->topic_count; i++)
		add_topic(g, (struct span){(const uint8_t *)other->names + other->topics[i].at, other->topics[i].len});
	g->more_topics |= other->more_topics;
	if (g->reason == GAP_THINNED || other->reason == GAP_DAMAGED)
		g->reason = other->reason;
}

size_t gap_pack(const struct gap *g, uint8_t out[GAP_PACKED_MAX])
{
	uint8_t *at = out;

	*at++ = (uint8_t)(g->reason | (g->more_topics ? MORE_TOPICS : 0));
	at = packed_put_varint(at, g->first);
	at = packed_put_varint(at, g->last - g->first);
	at = packed_put_varint(at, g->count);
	for (int i = 0; i < 4; i++)
		at = packed_put_varint(at, g->classes[i]);
	at = packed_put_zigzag(at, g->from_ms);
	at = packed_put_zigzag(at, g->to_ms);
	at = packed_put_varint(at, g->topic_count);
	for (unsigned i = 0; i < g->topic_count; i++) {
		at = packed_put_varint(at, g->topics[i].len);
		at = packed_put_span(at, (struct span){(const uint8_t *)g->names + g->topics[i].at, g->topics[i].len});
	}
	return (size_t)(at - out);
}

struct block_record gap_record(
	const struct gap *g, uint8_t packed[GAP_PACKED_MAX], uint64_t seq, const char *topic, int64_t wall_ms)
{
	return (struct block_record){.seq = seq,
		.topic = {(const uint8_t *)topic, strlen(topic)},
		.payload = {packed, gap_pack(g, packed)},
		.wall_ms = wall_ms,
		.expiry_s = MSG_NEVER_EXPIRES,
		.qos = 1,
		.class = MSG_EVENT,
		.gap = true};
}

int gap_unpack(struct gap *g, struct span packed)
{
	struct cursor c = cursor_on(packed.at, packed.len);
	uint8_t kind = cursor_u8(&c);
	uint64_t topics;

	if ((kind & ~MORE_TOPICS) >= N_REASONS)
		return -EBADMSG;
	gap_init(g, (enum gap_reason)(kind & ~MORE_TOPICS));
	g->first = packed_get_varint(&c);
	g->last = g->first + packed_get_varint(&c);
	g->count = packed_get_varint(&c);
	for (int i = 0; i < 4; i++)
		g->classes[i] = packed_get_varint(&c);
	g->from_ms = packed_get_zigzag(&c);
	g->to_ms = packed_get_zigzag(&c);
	topics = packed_get_varint(&c);
	for (uint64_t i = 0; i < topics && cursor_ok(&c); i++)
		add_topic(g, cursor_span(&c, (size_t)packed_get_varint(&c)));
	g->more_topics |= kind & MORE_TOPICS;
	return cursor_done(&c) && g->last >= g->first ? 0 : -EBADMSG;
}

size_t gap_json(const struct gap *g, char *out, size_t cap)
{
	struct json j = json_on(out, cap);

	json_open(&j, '{');
	json_key(&j, "event");
	json_str(&j, "gap");
	json_key(&j, "reason");
	json_str(&j, reasons[g->reason]);
	json_key(&j, "first");
	json_uint(&j, g->first);
	json_key(&j, "last");
	json_uint(&j, g->last);
	json_key(&j, "count");
	if (g->count > 0)
		json_uint(&j, g->count);
	else
		json_null(&j);
	json_key(&j, "classes");
	json_open(&j, '{');
	for (int i = 0; i < 4; i++)
		if (g->classes[i] > 0) {
			json_key(&j, classes[i]);
			json_uint(&j, g->classes[i]);
		}
	json_close(&j, '}');
	if (g->from_ms <= g->to_ms) {
		json_key(&j, "from");
		json_int(&j, g->from_ms);
		json_key(&j, "to");
		json_int(&j, g->to_ms);
	}
	json_key(&j, "topics");
	json_open(&j, '[');
	for (unsigned i = 0; i < g->topic_count; i++)
		json_text(&j, g->names + g->topics[i].at, g->topics[i].len);
	json_close(&j, ']');
	json_key(&j, "more_topics");
	json_bool(&j, g->more_topics);
	json_close(&j, '}');
	return json_done(&j);
}
