/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json json_on(char *buf, size_t cap)
{
	return (struct json){.start = buf, .at = buf, .end = buf + cap};
}

static void put(struct json *j, const char *s, size_t len)
{
	if (j->full || (size_t)(j->end - j->at) <= len) { /* one byte stays for the terminator */
		j->full = true;
		return;
	}
	memcpy(j->at, s, len);
	j->at += len;
}

static void value(struct json *j, const char *s, size_t len)
{
	if (j->comma)
		put(j, ",", 1);
	put(j, s, len);
	j->comma = true;
}

size_t json_done(struct json *j)
{
	if (j->full) {
		if (j->end > j->start)
			*j->start = 0;
		return 0;
	}
	*j->at = 0;
	return (size_t)(j->at - j->start);
}

void json_open(struct json *j, char bracket)
{
	value(j, &bracket, 1);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

void json_key(struct json *j, const char *key)
{
	value(j, "\"", 1);
	put(j, key, strlen(key));
	put(j, "\":", 2);
	j->comma = false;
}

void json_null(struct json *j)
{
	value(j, "null", 4);
}

void json_bool(struct json *j, bool v)
{
	value(j, v ? "true" : "false", v ? 4 : 5);
}

void json_int(struct json *j, int64_t v)
{
	char s[24];

	value(j, s, (size_t)snprintf(s, sizeof(s), "%" PRId64, v));
}

void json_uint(struct json *j, uint64_t v)
{
	char s[24];

	value(j, s, (size_t)snprintf(s, sizeof(s), "%" PRIu64, v));
}

void json_real(struct json *j, double v)
{
	char s[32];
	int n = 0;

	if (!isfinite(v)) {
		json_null(j);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(s, sizeof(s), "%.*g", digits, v);
		if (strtod(s, NULL) == v)
			break;
	}
	value(j, s, (size_t)n);
}

void json_real32(struct json *j, float v)
{
	char s[32];
	int n = 0;

	if (!isfinite(v)) {
		json_null(j);
		return;
	}
	for (int digits = 6; digits <= 9; digits++) {
		n = snprintf(s, sizeof(s), "%.*g", digits, (double)v);
		if (strtof(s, NULL) == v)
			break;
	}
	value(j, s, (size_t)n);
}

static void put_char(struct json *j, const uint8_t *s, size_t len)
{
	char escape[8];

	if (len == 1 && (*s < ' ' || *s == 0x7f)) {
		snprintf(escape, sizeof(escape), "\\u%04x", *s);
		put(j, escape, 6);
	} else if (len == 1 && (*s == '"' || *s == '\\'))
		put(j, (char[]){'\\', (char)*s}, 2);
	else
		put(j, (const char *)s, len);
}

/* Length of the well-formed character at s; 0: there is none. A NUL is one here, since it can be escaped. */
static size_t char_at(const uint8_t *s, size_t left)
{
	size_t n = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : *s >= 0xc0 ? 2 : 1;

	if (*s == 0)
		return 1;
	return n <= left && utf8_ok(s, n) ? n : 0;
}

void json_text(struct json *j, const void *text, size_t len)
{
	const uint8_t *s = text;

	value(j, "\"", 1);
	for (size_t i = 0; i < len;) {
		size_t n = char_at(s + i, len - i);

		if (n > 0)
			put_char(j, s + i, n);
		else
			put(j, "\xef\xbf\xbd", 3);
		i += n > 0 ? n : 1;
	}
	put(j, "\"", 1);
}

void json_str(struct json *j, const char *s)
{
	if (s)
		json_text(j, s, strlen(s));
	else
		json_null(j);
}

void json_raw(struct json *j, const char *text, size_t len)
{
	value(j, text, len);
}
