/* SPDX-License-Identifier: MIT */
#include "broker/props.h"

#include "base/utf8.h"

#include <string.h>

enum kind { NONE, BYTE, WORD, LONG, VARINT, STRING, BINARY, PAIR };

#define IN(type) (1u << (type))
#define EVERY_ANSWER                                                                                                   \
	(IN(PKT_CONNACK) | IN(PKT_PUBACK) | IN(PKT_PUBREC) | IN(PKT_PUBREL) | IN(PKT_PUBCOMP) | IN(PKT_SUBACK) |       \
		IN(PKT_UNSUBACK) | IN(PKT_DISCONNECT) | IN(PKT_AUTH))
#define MESSAGE (IN(PKT_PUBLISH) | IN(PKT_WILL))

/* MQTT 5, 2.2.2.2. What only a server sends is left out: from a client it is malformed. */
static const struct rule {
	uint8_t kind;
	uint32_t packets, min, max;
} rules[PROP_COUNT] = {
	[PROP_PAYLOAD_FORMAT] = {BYTE, MESSAGE, 0, 1},
	[PROP_MESSAGE_EXPIRY] = {LONG, MESSAGE, 0, UINT32_MAX},
	[PROP_CONTENT_TYPE] = {STRING, MESSAGE, 0, 0},
	[PROP_RESPONSE_TOPIC] = {STRING, MESSAGE, 0, 0},
	[PROP_CORRELATION_DATA] = {BINARY, MESSAGE, 0, 0},
	[PROP_SUBSCRIPTION_ID] = {VARINT, IN(PKT_PUBLISH) | IN(PKT_SUBSCRIBE), 1, MAX_VARINT},
	[PROP_SESSION_EXPIRY] = {LONG, IN(PKT_CONNECT) | IN(PKT_DISCONNECT), 0, UINT32_MAX},
	[PROP_AUTH_METHOD] = {STRING, IN(PKT_CONNECT) | IN(PKT_AUTH), 0, 0},
	[PROP_AUTH_DATA] = {BINARY, IN(PKT_CONNECT) | IN(PKT_AUTH), 0, 0},
	[PROP_REQUEST_PROBLEM_INFO] = {BYTE, IN(PKT_CONNECT), 0, 1},
	[PROP_WILL_DELAY] = {LONG, IN(PKT_WILL), 0, UINT32_MAX},
	[PROP_REQUEST_RESPONSE_INFO] = {BYTE, IN(PKT_CONNECT), 0, 1},
	[PROP_REASON_STRING] = {STRING, EVERY_ANSWER, 0, 0},
	[PROP_RECEIVE_MAXIMUM] = {WORD, IN(PKT_CONNECT), 1, UINT16_MAX},
	[PROP_TOPIC_ALIAS_MAXIMUM] = {WORD, IN(PKT_CONNECT), 0, UINT16_MAX},
	[PROP_TOPIC_ALIAS] = {WORD, IN(PKT_PUBLISH), 0, UINT16_MAX}, /* 0 is 0x94, decided by its handler */
	[PROP_USER_PROPERTY] = {PAIR,
		MESSAGE | EVERY_ANSWER | IN(PKT_CONNECT) | IN(PKT_SUBSCRIBE) | IN(PKT_UNSUBSCRIBE), 0, 0},
	[PROP_MAXIMUM_PACKET_SIZE] = {LONG, IN(PKT_CONNECT), 1, UINT32_MAX},
};

static uint32_t read_number(struct cursor *c, enum kind kind)
{
	switch (kind) {
	case BYTE: return cursor_u8(c);
	case WORD: return cursor_u16(c);
	case LONG: return cursor_u32(c);
	default: return cursor_varint(c);
	}
}

static int read_value(struct cursor *c, enum prop id, const struct rule *rule, struct props *out)
{
	struct span value;

	if (rule->kind < STRING) {
		out->num[id] = read_number(c, rule->kind);
		if (!cursor_ok(c))
			return RC_MALFORMED;
		return out->num[id] < rule->min || out->num[id] > rule->max ? RC_PROTOCOL : 0;
	}
	value = cursor_span16(c);
	if (!cursor_ok(c) || (rule->kind != BINARY && !utf8_ok(value.at, value.len)))
		return RC_MALFORMED;
	if (rule->kind == PAIR) {
		value = cursor_span16(c);
		if (!cursor_ok(c) || !utf8_ok(value.at, value.len))
			return RC_MALFORMED;
	}
	out->text[id] = value;
	return 0;
}

int props_decode(struct cursor *c, enum packet_type packet, struct props *out)
{
	struct span raw = cursor_span(c, cursor_varint(c));

	return cursor_ok(c) ? props_read(raw, packet, out) : RC_MALFORMED;
}

int props_read(struct span raw, enum packet_type packet, struct props *out)
{
	struct cursor list = cursor_on(raw.at, raw.len);

	out->have = 0;
	out->raw = raw;
	while (cursor_left(&list) > 0) {
		uint32_t id = cursor_varint(&list);
		int r;

		if (!cursor_ok(&list) || id >= PROP_COUNT || !(rules[id].packets & IN(packet)))
			return RC_MALFORMED;
		if (props_has(out, id) && id != PROP_USER_PROPERTY)
			return RC_PROTOCOL;
		r = read_value(&list, id, &rules[id], out);
		if (r != 0)
			return r;
		out->have |= (uint64_t)1 << id;
	}
	return 0;
}

static void skip_value(struct cursor *c, enum kind kind)
{
	if (kind < STRING)
		read_number(c, kind);
	else
		cursor_span16(c);
	if (kind == PAIR)
		cursor_span16(c);
}

size_t props_strip(struct span raw, uint64_t drop, uint8_t *out)
{
	struct cursor c = cursor_on(raw.at, raw.len);
	size_t n = 0;

	while (cursor_left(&c) > 0) {
		const uint8_t *start = c.at;
		uint8_t id = cursor_u8(&c);

		skip_value(&c, rules[id % PROP_COUNT].kind);
		if (!(drop >> id & 1)) {
			memcpy(out + n, start, (size_t)(c.at - start));
			n += (size_t)(c.at - start);
		}
	}
	return n;
}

/* A response topic from c, as it shall be. */
static uint8_t *put_moved(uint8_t *to, struct cursor *c, struct span off, struct span on)
{
	struct span name = cursor_span16(c);
	bool below = name.len > off.len && (off.len == 0 || memcmp(name.at, off.at, off.len) == 0);
	size_t skip = below ? off.len : 0, add = below && name.len - skip + on.len <= UINT16_MAX ? on.len : 0;
	size_t len = name.len - skip + add;

	*to++ = PROP_RESPONSE_TOPIC;
	*to++ = (uint8_t)(len >> 8);
	*to++ = (uint8_t)len;
	if (add > 0)
		memcpy(to, on.at, add);
	memcpy(to + add, name.at + skip, name.len - skip);
	return to + len;
}

size_t props_move_response(struct span raw, struct span off, struct span on, uint8_t *out)
{
	struct cursor c = cursor_on(raw.at, raw.len);
	uint8_t *to = out;

	while (cursor_left(&c) > 0) {
		const uint8_t *start = c.at;
		uint8_t id = cursor_u8(&c);

		if (id == PROP_RESPONSE_TOPIC) {
			to = put_moved(to, &c, off, on);
			continue;
		}
		skip_value(&c, rules[id % PROP_COUNT].kind);
		memcpy(to, start, (size_t)(c.at - start));
		to += c.at - start;
	}
	return (size_t)(to - out);
}
