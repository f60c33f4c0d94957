/* SPDX-License-Identifier: MIT */
#include "tests/lib/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- bytes ---------------------------------------------------------------------------------------------------- */

void bytes_raw(struct bytes *b, const void *from, size_t len)
{
	if (len == 0)
		return;
	if (b->cap - b->len < len) {
		b->cap = (b->len + len) * 2;
		b->at = realloc(b->at, b->cap);
		if (!b->at) {
			perror("realloc");
			abort();
		}
	}
	memcpy(b->at + b->len, from, len);
	b->len += len;
}

void bytes_u8(struct bytes *b, unsigned v)
{
	uint8_t byte = (uint8_t)v;

	bytes_raw(b, &byte, 1);
}

void bytes_u16(struct bytes *b, unsigned v)
{
	bytes_u8(b, v >> 8);
	bytes_u8(b, v);
}

void bytes_u32(struct bytes *b, uint32_t v)
{
	bytes_u16(b, v >> 16);
	bytes_u16(b, v);
}

void bytes_varint(struct bytes *b, size_t v)
{
	while (v > 127) {
		bytes_u8(b, (unsigned)(v & 127) | 128);
		v >>= 7;
	}
	bytes_u8(b, (unsigned)v);
}

void bytes_string(struct bytes *b, const char *s)
{
	size_t len = strlen(s);

	bytes_u16(b, (unsigned)len);
	bytes_raw(b, s, len);
}

void bytes_drop(struct bytes *b, size_t len)
{
	if (len == 0)
		return;
	b->len -= len;
	memmove(b->at, b->at + len, b->len);
}

void bytes_free(struct bytes *b)
{
	free(b->at);
	*b = (struct bytes){0};
}

/* --- reading -------------------------------------------------------------------------------------------------- */

int wire_packet(const uint8_t *bytes, size_t len, struct packet *out)
{
	size_t value = 0, at = 1;

	do {
		if (at > 4)
			return -EPROTO;
		if (at >= len)
			return 0;
		value |= (size_t)(bytes[at] & 127) << 7 * (at - 1);
	} while (bytes[at++] & 128);
	if (len - at < value)
		return 0;
	out->type = (enum wire_type)(bytes[0] >> 4);
	out->flags = bytes[0] & 15;
	out->body = cursor_on(bytes + at, value);
	out->total = at + value;
	return 1;
}

/* How a property's value is laid out: digits are bytes, v a varint, s a string, p a pair of them. */
static char prop_kind(uint8_t id)
{
	switch (id) {
	case 1:
	case 23:
	case 25:
	case 36:
	case 37:
	case 40:
	case 41:
	case 42: return '1';
	case 19:
	case 33:
	case 34:
	case 35: return '2';
	case 2:
	case 17:
	case 24:
	case 39: return '4';
	case 11: return 'v';
	case 38: return 'p';
	default: return 's';
	}
}

static bool named(struct span s, const char *name)
{
	return s.len == strlen(name) && memcmp(s.at, name, s.len) == 0;
}

static void user_prop(struct cursor *c, struct props *out)
{
	struct span key = cursor_span16(c), value = cursor_span16(c);

	if (named(key, "seq"))
		out->seq = value;
	if (named(key, "historical") || named(key, "late"))
		out->late = true;
}

void wire_props(struct cursor *c, struct props *out)
{
	struct span all = cursor_span(c, cursor_varint(c));
	struct cursor in = cursor_on(all.at, all.len);

	while (cursor_left(&in) > 0) {
		uint8_t id = cursor_u8(&in);

		switch (prop_kind(id)) {
		case '1': cursor_u8(&in); break;
		case '2': {
			uint16_t v = cursor_u16(&in);

			if (id == 33) {
				out->receive_maximum = v;
				out->has_receive_maximum = true;
			}
			break;
		}
		case '4': {
			uint32_t v = cursor_u32(&in);

			if (id == 17)
				out->session_expiry = v;
			break;
		}
		case 'v': cursor_varint(&in); break;
		case 'p': user_prop(&in, out); break;
		default: cursor_span16(&in);
		}
	}
	if (!cursor_ok(&in))
		c->bad = true;
}

int wire_publish(const struct packet *p, int version, struct publish *out)
{
	struct cursor c = p->body;

	*out = (struct publish){.qos = p->flags >> 1 & 3, .dup = p->flags >> 3 & 1, .retain = p->flags & 1};
	out->topic = cursor_span16(&c);
	if (out->qos)
		out->id = cursor_u16(&c);
	if (version == 5)
		wire_props(&c, &out->props);
	out->payload = cursor_span(&c, cursor_left(&c));
	return cursor_ok(&c) && out->qos < 3 ? 0 : -EPROTO;
}

int wire_connect(const struct packet *p, struct connect *out)
{
	struct cursor c = p->body;
	struct span name = cursor_span16(&c);
	struct props ignored = {0};
	uint8_t level, flags;

	*out = (struct connect){0};
	level = cursor_u8(&c);
	flags = cursor_u8(&c);
	out->version = level & 0x7f; /* the top bit is how a bridge says that it is one */
	out->clean = flags >> 1 & 1;
	out->keepalive = cursor_u16(&c);
	if (out->version == 5)
		wire_props(&c, &out->props);
	out->client = cursor_span16(&c);
	out->has_will = flags >> 2 & 1;
	if (out->has_will) {
		out->will_qos = flags >> 3 & 3;
		out->will_retain = flags >> 5 & 1;
		if (out->version == 5)
			wire_props(&c, &ignored);
		out->will_topic = cursor_span16(&c);
		out->will_payload = cursor_span16(&c);
	}
	if (flags & 0x80)
		out->user = cursor_span16(&c);
	if (flags & 0x40)
		out->password = cursor_span16(&c);
	return cursor_done(&c) && named(name, "MQTT") && (out->version == 4 || out->version == 5) ? 0 : -EPROTO;
}

/* --- writing -------------------------------------------------------------------------------------------------- */

static void frame(struct bytes *b, enum wire_type type, unsigned flags, struct bytes *body)
{
	bytes_u8(b, (unsigned)type << 4 | flags);
	bytes_varint(b, body->len);
	bytes_raw(b, body->at, body->len);
	bytes_free(body);
}

void wire_ack(struct bytes *b, enum wire_type type, uint16_t id, int version, uint8_t reason)
{
	bool with_reason = version == 5 && reason != 0;

	bytes_u8(b, (unsigned)type << 4 | (type == PUBREL ? 2U : 0U));
	bytes_u8(b, with_reason ? 3 : 2);
	bytes_u16(b, id);
	if (with_reason)
		bytes_u8(b, reason);
}

void wire_connack(
	struct bytes *b, int version, bool present, uint8_t reason, uint16_t receive_maximum, uint32_t maximum_packet)
{
	struct bytes body = {0};

	bytes_u8(&body, present);
	bytes_u8(&body, reason);
	if (version == 5) {
		bytes_varint(&body, (receive_maximum ? 3U : 0U) + (maximum_packet ? 5U : 0U));
		if (receive_maximum) {
			bytes_u8(&body, 33);
			bytes_u16(&body, receive_maximum);
		}
		if (maximum_packet) {
			bytes_u8(&body, 39);
			bytes_u32(&body, maximum_packet);
		}
	}
	frame(b, CONNACK, 0, &body);
}

void wire_make_connect(struct bytes *b, int version, const char *client, bool clean, uint16_t keepalive)
{
	struct bytes body = {0};

	bytes_string(&body, "MQTT");
	bytes_u8(&body, (unsigned)version);
	bytes_u8(&body, clean ? 2 : 0);
	bytes_u16(&body, keepalive);
	if (version == 5) {
		bytes_varint(&body, 5);
		bytes_u8(&body, 17);
		bytes_u32(&body, clean ? 0 : 86400);
	}
	bytes_string(&body, client);
	frame(b, CONNECT, 0, &body);
}

void wire_make_publish(struct bytes *b, int version, const char *topic, const void *payload, size_t len, uint8_t qos,
	bool dup, bool retain, uint16_t id)
{
	struct bytes body = {0};

	bytes_string(&body, topic);
	if (qos)
		bytes_u16(&body, id);
	if (version == 5)
		bytes_varint(&body, 0);
	bytes_raw(&body, payload, len);
	frame(b, PUBLISH, (dup ? 8U : 0U) | (unsigned)qos << 1 | (retain ? 1U : 0U), &body);
}

void wire_make_subscribe(struct bytes *b, int version, const char *filter, uint8_t qos, uint16_t id)
{
	struct bytes body = {0};

	bytes_u16(&body, id);
	if (version == 5)
		bytes_varint(&body, 0);
	bytes_string(&body, filter);
	bytes_u8(&body, qos);
	frame(b, SUBSCRIBE, 2, &body);
}

void wire_empty(struct bytes *b, enum wire_type type)
{
	bytes_u8(b, (unsigned)type << 4);
	bytes_u8(b, 0);
}

void wire_disconnect(struct bytes *b, int version, uint8_t reason)
{
	bytes_u8(b, (unsigned)DISCONNECT << 4);
	bytes_u8(b, version == 5 ? 1 : 0);
	if (version == 5)
		bytes_u8(b, reason);
}
