/* SPDX-License-Identifier: MIT */
#include "gateway/command.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16, NUMBER_MAX = 40 };

/* --- JSON, as much as a command needs -------------------------------------------------------------------------- */

static void space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

static bool take(struct cursor *c, char wanted)
{
	space(c);
	if (c->at == c->end || *c->at != (uint8_t)wanted)
		return false;
	c->at++;
	return true;
}

static bool word(struct cursor *c, const char *w)
{
	size_t len = strlen(w);

	if (cursor_left(c) < len || memcmp(c->at, w, len) != 0)
		return false;
	c->at += len;
	return true;
}

/* The four hex digits after \u: only what is below U+0080 is of use in a command; the rest is refused. */
static int escaped_unit(struct cursor *c)
{
	int unit = 0;

	for (int i = 0; i < 4; i++) {
		uint8_t d = cursor_u8(c);
		int digit = d >= '0' && d <= '9'                 ? d - '0'
			    : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10
								 : -1;

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	return unit < 0x80 ? unit : -1;
}

static int escaped(struct cursor *c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint8_t e = cursor_u8(c);
	const char *at = e ? strchr(from, e) : NULL;

	if (at)
		return to[at - from];
	return e == 'u' ? escaped_unit(c) : -1;
}

/* After the opening quote. out NULL: only to get past it. */
static enum command_fault text_value(struct cursor *c, char *out, size_t *len)
{
	size_t n = 0;

	for (;;) {
		int ch = cursor_u8(c);

		if (!cursor_ok(c) || (ch >= 0 && ch < ' '))
			return COMMAND_NOT_JSON;
		if (ch == '"')
			break;
		if (ch == '\\' && (ch = escaped(c)) < 0)
			return COMMAND_NOT_JSON;
		if (out && n == COMMAND_TEXT_MAX)
			return COMMAND_TOO_LONG;
		if (out)
			out[n] = (char)ch;
		n++;
	}
	*len = n;
	return out && !utf8_ok(out, n) ? COMMAND_NOT_JSON : COMMAND_OK;
}

/* Whole numbers stay whole: a 64-bit register does not fit a double. */
static enum command_fault number_value(struct cursor *c, struct value *out)
{
	char digits[NUMBER_MAX + 1], *end;
	size_t n = 0;
	bool whole = true;

	while (c->at < c->end && strchr("+-.eE0123456789", *c->at) && *c->at) {
		if (n == NUMBER_MAX)
			return COMMAND_TOO_LONG;
		whole = whole && !strchr(".eE", *c->at);
		digits[n++] = (char)*c->at++;
	}
	digits[n] = 0;
	if (n == 0 || digits[0] == '+' || digits[0] == '.')
		return COMMAND_NOT_JSON;
	errno = 0;
	if (whole && digits[0] == '-')
		*out = (struct value){VALUE_INT, .i = strtoll(digits, &end, 10)};
	else if (whole)
		*out = (struct value){VALUE_UINT, .u = strtoull(digits, &end, 10)};
	if (!whole || errno == ERANGE) {
		errno = 0;
		*out = (struct value){VALUE_REAL, .r = strtod(digits, &end)};
	}
	return *end || errno == ERANGE ? COMMAND_NOT_JSON : COMMAND_OK;
}

static enum command_fault scalar(struct cursor *c, char *text, struct value *out)
{
	space(c);
	if (word(c, "true") || word(c, "false")) {
		*out = (struct value){VALUE_BOOL, .b = c->at[-2] == 'u'};
		return COMMAND_OK;
	}
	if (take(c, '"')) {
		enum command_fault f = text_value(c, text, &out->text.len);

		out->kind = VALUE_TEXT;
		out->text.at = text;
		return f;
	}
	if (c->at < c->end && (*c->at == '{' || *c->at == '[' || *c->at == 'n'))
		return COMMAND_NOT_A_VALUE;
	return number_value(c, out);
}

/* Gets past one value of any kind, without recursion: brackets are counted, strings are skipped whole. */
static bool skip(struct cursor *c)
{
	int depth = 0;

	do {
		size_t ignored;

		space(c);
		if (c->at == c->end)
			return false;
		if (*c->at == '"') {
			c->at++;
			if (text_value(c, NULL, &ignored) != COMMAND_OK)
				return false;
		} else if (*c->at == '{' || *c->at == '[') {
			depth++;
			c->at++;
		} else if (*c->at == '}' || *c->at == ']') {
			depth--;
			c->at++;
		} else {
			c->at++;
			while (depth == 0 && c->at < c->end && !strchr(",}] \t\r\n", *c->at))
				c->at++;
		}
	} while (depth > 0 && depth < DEPTH_MAX);
	return depth == 0;
}

/* After the opening brace. */
static enum command_fault member_v(struct cursor *c, char *text, struct value *out)
{
	enum command_fault f = COMMAND_NO_MEMBER;

	do {
		char name[COMMAND_TEXT_MAX];
		size_t len;

		if (!take(c, '"') || text_value(c, name, &len) != COMMAND_OK || !take(c, ':'))
			return COMMAND_NOT_JSON;
		if (len == 1 && name[0] == 'v') {
			f = scalar(c, text, out);
			if (f != COMMAND_OK)
				return f;
		} else if (!skip(c)) {
			return COMMAND_NOT_JSON;
		}
	} while (take(c, ','));
	return take(c, '}') ? f : COMMAND_NOT_JSON;
}

/* --- the command ------------------------------------------------------------------------------------------------ */

static enum command_fault as_text(const void *payload, size_t len, char *text, struct value *out)
{
	if (len > COMMAND_TEXT_MAX)
		return COMMAND_TOO_LONG;
	if (!utf8_ok(payload, len))
		return COMMAND_NOT_JSON;
	memcpy(text, payload, len);
	*out = (struct value){VALUE_TEXT, .text = {text, len}};
	return COMMAND_OK;
}

enum command_fault command_value(const void *payload, size_t len, char *text, struct value *out)
{
	struct cursor c = cursor_on(payload, len);
	enum command_fault f;
	bool object;

	*out = (struct value){0};
	space(&c);
	if (c.at == c.end)
		return COMMAND_EMPTY;
	object = *c.at == '{';
	if (object)
		c.at++;
	f = object ? member_v(&c, text, out) : scalar(&c, text, out);
	space(&c);
	if (f == COMMAND_OK && c.at == c.end && cursor_ok(&c))
		return COMMAND_OK;
	if (object)
		return f == COMMAND_OK ? COMMAND_NOT_JSON : f;
	return f == COMMAND_NOT_A_VALUE ? f : as_text(payload, len, text, out);
}

const char *command_fault_text(enum command_fault f)
{
	static const char *const text[] = {
		[COMMAND_OK] = "is fine",
		[COMMAND_EMPTY] = "the payload is empty; send a value, or {\"v\": value}",
		[COMMAND_NOT_JSON] = "the payload is not valid JSON; send a value, or {\"v\": value}",
		[COMMAND_NO_MEMBER] = "the object has no member \"v\"; send {\"v\": value}",
		[COMMAND_NOT_A_VALUE] =
			"a list, an object or null cannot be written; send a number, true, false or a text",
		[COMMAND_TOO_LONG] = "the value is too long",
	};

	return text[f];
}

bool command_property(const struct msg *m, uint8_t id, struct span *out)
{
	struct cursor c = cursor_on(msg_props(m), m->props_len);

	while (cursor_ok(&c) && cursor_left(&c) > 0) {
		uint8_t at = cursor_u8(&c);

		switch (at) {
		case 0x01: cursor_u8(&c); break; /* payload format indicator */
		case 0x26:                       /* user property */
			cursor_span16(&c);
			cursor_span16(&c);
			break;
		case 0x03: /* content type */
		case 0x08: /* response topic */
		case 0x09: /* correlation data */
			*out = cursor_span16(&c);
			if (at == id && cursor_ok(&c))
				return true;
			break;
		default: return false; /* the broker keeps no others with a message */
		}
	}
	return false;
}
