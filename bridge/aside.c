/* SPDX-License-Identifier: MIT */
#include "bridge/aside.h"

#include "base/cursor.h"
#include "base/json.h"
#include "base/topic.h"
#include "base/utf8.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const char *const classes[] = {
	[MSG_BULK] = "bulk", [MSG_TELEMETRY] = "telemetry", [MSG_EVENT] = "event", [MSG_ALARM] = "alarm"};

enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void put_bytes(
	struct json *j, const char *name, const char *name64, const uint8_t *bytes, size_t len, char *scratch)
{
	if (name && utf8_ok(bytes, len)) {
		json_key(j, name);
		json_text(j, bytes, len);
		return;
	}
	json_key(j, name64);
	EVP_EncodeBlock((unsigned char *)scratch, bytes, (int)len);
	json_str(j, scratch);
}

static size_t write_line(char *out, size_t cap, char *scratch, const struct aside *a)
{
	struct json j = json_on(out, cap);
	const struct msg *m = a->m;

	json_open(&j, '{');
	json_key(&j, "seq");
	json_uint(&j, a->seq);
	json_key(&j, "t");
	json_int(&j, m->wall_ms);
	json_key(&j, "code");
	json_uint(&j, a->code);
	json_key(&j, "reason");
	json_str(&j, a->reason);
	if (a->gap) {
		json_key(&j, "gap");
		json_bool(&j, true);
	}
	if (m->class != MSG_TELEMETRY) {
		json_key(&j, "class");
		json_str(&j, classes[m->class]);
	}
	json_key(&j, "topic");
	json_text(&j, msg_topic(m), m->topic_len);
	json_key(&j, "qos");
	json_uint(&j, m->qos);
	json_key(&j, "retain");
	json_bool(&j, m->retain);
	put_bytes(&j, "payload", "payload64", msg_payload(m), m->payload_len, scratch);
	if (m->props_len > 0)
		put_bytes(&j, NULL, "props64", msg_props(m), m->props_len, scratch);
	json_close(&j, '}');
	return json_done(&j);
}

int aside_write(char **line, size_t *len, const struct aside *a)
{
	const struct msg *m = a->m;
	/* JSON writes a byte as six at most; a base64 text is never escaped. */
	size_t cap = 6 * ((size_t)m->topic_len + m->payload_len + strlen(a->reason)) + 2 * (size_t)m->props_len + 512;
	char *scratch = malloc(2 * ((size_t)m->payload_len + m->props_len) + 8);

	int r;

	*line = malloc(cap);
	r = *line && scratch ? 0 : -ENOMEM;
	*len = r == 0 ? write_line(*line, cap - 1, scratch, a) : 0;
	free(scratch);
	if (*len == 0) {
		free(*line);
		*line = NULL;
		return r < 0 ? r : -EMSGSIZE;
	}
	(*line)[(*len)++] = '\n';
	return 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

struct fields {
	uint64_t seq, t, code, qos;
	bool t_below_0, retain, gap;
	struct span reason, class, topic, payload, payload64, props64;
};

enum kind { UINT, SIGNED, BOOL, TEXT };

#define MEMBER(name, kind)                                                                                             \
	{                                                                                                              \
#name, kind, offsetof(struct fields, name)                                                             \
	}
static const struct member {
	const char *name;
	enum kind kind;
	size_t offset;
} members[] = {
	MEMBER(seq, UINT),
	MEMBER(t, SIGNED),
	MEMBER(code, UINT),
	MEMBER(reason, TEXT),
	MEMBER(gap, BOOL),
	MEMBER(class, TEXT),
	MEMBER(topic, TEXT),
	MEMBER(qos, UINT),
	MEMBER(retain, BOOL),
	MEMBER(payload, TEXT),
	MEMBER(payload64, TEXT),
	MEMBER(props64, TEXT),
};

enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static bool word(struct cursor *c, const char *w)
{
	size_t len = strlen(w);

	return cursor_left(c) >= len && memcmp(cursor_span(c, len).at, w, len) == 0;
}

static bool next_is(const struct cursor *c, char wanted)
{
	return cursor_left(c) > 0 && *c->at == (uint8_t)wanted;
}

static bool number(struct cursor *c, uint64_t *out)
{
	size_t digits = 0;

	*out = 0;
	for (; cursor_left(c) > 0 && *c->at >= '0' && *c->at <= '9'; digits++) {
		unsigned digit = (unsigned)(cursor_u8(c) - '0');

		if (*out > (UINT64_MAX - digit) / 10)
			return false;
		*out = *out * 10 + digit;
	}
	return digits > 0;
}

/* The writer escapes quotes, backslashes and control bytes, and these as \u00XX. */
static bool escaped(struct cursor *c, uint8_t *out)
{
	static const char hex[] = "0123456789abcdef";
	const char *high, *low;

	*out = cursor_u8(c);
	if (*out == '"' || *out == '\\')
		return true;
	if (*out != 'u' || !word(c, "00") || cursor_left(c) < 2)
		return false;
	high = memchr(hex, cursor_u8(c), 16);
	low = memchr(hex, cursor_u8(c), 16);
	if (!high || !low)
		return false;
	*out = (uint8_t)((high - hex) * 16 + (low - hex));
	return *out < 0x80;
}

/* Unescaped in its own place: it only gets shorter. */
static bool text(struct cursor *c, char *line, struct span *out)
{
	char *to = line + (c->at - (const uint8_t *)line);

	if (!word(c, "\""))
		return false;
	out->at = (const uint8_t *)to;
	for (;;) {
		uint8_t byte = cursor_u8(c);

		if (byte == '"')
			break;
		if (byte < 0x20 || (byte == '\\' && !escaped(c, &byte)))
			return false;
		*to++ = (char)byte;
	}
	out->len = (size_t)(to - (const char *)out->at);
	return cursor_ok(c);
}

static bool member(struct cursor *c, char *line, const struct member *m, struct fields *out)
{
	void *at = (char *)out + m->offset;

	switch (m->kind) {
	case SIGNED: out->t_below_0 = next_is(c, '-') && word(c, "-"); return number(c, at);
	case UINT: return number(c, at);
	case BOOL: *(bool *)at = next_is(c, 't'); return word(c, *(bool *)at ? "true" : "false");
	case TEXT: return text(c, line, at);
	}
	return false;
}

/* Members in any order, each once. */
static bool parse(struct fields *out, char *line, size_t len, unsigned *seen)
{
	struct cursor c = cursor_on(line, len);
	struct span name;
	size_t i;

	*seen = 0;
	if (!word(&c, "{"))
		return false;
	do {
		if (!text(&c, line, &name) || !word(&c, ":"))
			return false;
		for (i = 0; i < MEMBERS; i++)
			if (strlen(members[i].name) == name.len && memcmp(members[i].name, name.at, name.len) == 0)
				break;
		if (i == MEMBERS || (*seen >> i & 1) || !member(&c, line, &members[i], out))
			return false;
		*seen |= 1u << i;
	} while (next_is(&c, ',') && word(&c, ","));
	return word(&c, "}") && (cursor_done(&c) || (word(&c, "\n") && cursor_done(&c)));
}

/* In its own place as well: four letters become three bytes, of which the fillers at the end stand for none. */
static bool decode(struct span *s)
{
	size_t fillers = 0;
	int n;

	while (fillers < 2 && fillers < s->len && s->at[s->len - 1 - fillers] == '=')
		fillers++;
	n = s->len < INT32_MAX ? EVP_DecodeBlock((unsigned char *)(uintptr_t)s->at, s->at, (int)s->len) : -1;
	if (n < (int)fillers)
		return false;
	s->len = (size_t)n - fillers;
	return true;
}

static int class_of(struct span name)
{
	for (int i = 0; i < CLASSES; i++)
		if (strlen(classes[i]) == name.len && memcmp(classes[i], name.at, name.len) == 0)
			return i;
	return -1;
}

/* What the fields say together; class: as a number. */
static bool sound(struct fields *f, unsigned seen, int *class)
{
	bool whole = (seen & 1) && (seen & 2); /* seq and t; the rest of what is needed shows itself below */

	*class = f->class.at ? class_of(f->class) : MSG_TELEMETRY;
	if (!whole || f->seq == 0 || f->t > INT64_MAX || f->qos > 2 || *class < 0)
		return false;
	if ((f->payload.at != NULL) == (f->payload64.at != NULL) || !f->topic.at)
		return false;
	if (topic_check_name((const char *)f->topic.at, f->topic.len) != TOPIC_OK)
		return false;
	return (!f->payload64.at || decode(&f->payload64)) && (!f->props64.at || decode(&f->props64));
}

int aside_read(struct aside_record *out, char *line, size_t len, int64_t now_ms)
{
	struct fields f = {0};
	struct span payload;
	unsigned seen;
	int class;

	if (!parse(&f, line, len, &seen) || !sound(&f, seen, &class))
		return ASIDE_BAD;
	payload = f.payload64.at ? f.payload64 : f.payload;
	out->seq = f.seq;
	out->gap = f.gap;
	out->m = msg_new(&(struct msg_spec){
		.topic = f.topic.at,
		.topic_len = (uint32_t)f.topic.len,
		.props = f.props64.at,
		.props_len = (uint32_t)f.props64.len,
		.payload = payload.at,
		.payload_len = (uint32_t)payload.len,
		.qos = (uint8_t)f.qos,
		.retain = f.retain,
		.class = (enum msg_class) class,
		.origin = MSG_FROM_GATEWAY,
		.expiry_s = MSG_NEVER_EXPIRES,
		.taken_ms = now_ms,
		.wall_ms = f.t_below_0 ? -(int64_t)f.t : (int64_t)f.t,
	});
	return out->m ? 0 : -ENOMEM;
}
