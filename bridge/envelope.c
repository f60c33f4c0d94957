/* SPDX-License-Identifier: MIT */
#include "bridge/envelope.h"

#include "base/cursor.h"
#include "base/utf8.h"
#include "bridge/peek.h"

#include <openssl/evp.h>

enum {
	ROOM = 256,  /* names, numbers, braces */
	ESCAPED = 6, /* a byte of text becomes six at most */
	USER_PROPERTY = 0x26,
	FORMAT_INDICATOR = 0x01,
};

/* base64 and the text of JSON never take more than escaped text does. */
size_t envelope_room(const struct msg *m)
{
	return ROOM + ESCAPED * ((size_t)m->topic_len + m->payload_len + m->props_len);
}

static void put_flag(struct json *j, const char *name, bool set)
{
	if (!set)
		return;
	json_key(j, name);
	json_int(j, 1);
}

static void put_marks(struct json *j, const struct msg *m, const struct envelope_facts *facts)
{
	if (facts->marks) {
		json_key(j, "seq");
		json_uint(j, facts->seq);
	}
	if (m->wall_ms > 0) {
		json_key(j, "t");
		json_int(j, m->wall_ms);
	}
	put_flag(j, "late", facts->marks && facts->late);
	put_flag(j, "again", facts->marks && facts->again);
	if (m->marks & (MSG_UNSYNCED | MSG_RESTAMPED)) {
		json_key(j, "clock");
		json_str(j, m->marks & MSG_UNSYNCED ? "unsynced" : "restamped");
	}
	put_flag(j, "thinned", m->marks & MSG_THINNED);
	if (m->class == MSG_ALARM) {
		json_key(j, "class");
		json_str(j, "alarm");
	}
	if (m->retain) {
		json_key(j, "retain");
		json_bool(j, true);
	}
}

/* The next user property of a message's own; false: there is none left. */
static bool next_user(struct cursor *c, struct span *name, struct span *value)
{
	while (cursor_left(c) > 0 && cursor_ok(c)) {
		uint32_t code = cursor_varint(c);

		if (code == FORMAT_INDICATOR) {
			cursor_u8(c);
			continue;
		}
		*name = cursor_span16(c);
		if (code != USER_PROPERTY)
			continue;
		*value = cursor_span16(c);
		return cursor_ok(c);
	}
	return false;
}

static void put_user(struct json *j, const struct msg *m)
{
	struct cursor c = cursor_on(msg_props(m), m->props_len);
	struct span name, value;
	bool any = false;

	while (next_user(&c, &name, &value)) {
		if (!any) {
			json_key(j, "user");
			json_open(j, '[');
		}
		any = true;
		json_open(j, '[');
		json_text(j, name.at, name.len);
		json_text(j, value.at, value.len);
		json_close(j, ']');
	}
	if (any)
		json_close(j, ']');
}

/* Line breaks of JSON stand between its words only, where a blank says the same. */
static void put_json(struct json *j, const struct msg *m)
{
	char *from;

	json_key(j, "payload");
	from = j->at;
	json_raw(j, (const char *)msg_payload(m), m->payload_len);
	for (; from < j->at; from++)
		if (*from == '\n' || *from == '\r')
			*from = ' ';
}

static void put_base64(struct json *j, const struct msg *m)
{
	unsigned char text[65];
	const uint8_t *at = msg_payload(m);
	size_t left = m->payload_len;

	json_key(j, "base64");
	json_raw(j, "\"", 1);
	while (left > 0) {
		int n = left < 48 ? (int)left : 48;
		int len = EVP_EncodeBlock(text, at, n);

		j->comma = false;
		json_raw(j, (const char *)text, (size_t)len);
		at += n;
		left -= (size_t)n;
	}
	j->comma = false;
	json_raw(j, "\"", 1);
}

static void put_payload(struct json *j, const struct msg *m)
{
	struct peek said;

	peek(&said, msg_payload(m), m->payload_len);
	if (said.json && said.quality.len > 0) {
		json_key(j, "q");
		json_raw(j, (const char *)said.quality.at - 1, said.quality.len + 2);
	}
	put_user(j, m);
	if (said.json) {
		put_json(j, m);
	} else if (utf8_ok(msg_payload(m), m->payload_len)) {
		json_key(j, "text");
		json_text(j, msg_payload(m), m->payload_len);
	} else {
		put_base64(j, m);
	}
}

void envelope_write(struct json *j, const struct msg *m, const struct envelope_facts *facts)
{
	json_open(j, '{');
	json_key(j, "topic");
	json_text(j, msg_topic(m), m->topic_len);
	put_marks(j, m, facts);
	put_payload(j, m);
	json_close(j, '}');
}
