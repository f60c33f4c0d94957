/* SPDX-License-Identifier: MIT */
#include "bridge/peek.h"

#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	const uint8_t *at, *end;
	struct peek *out;
};

static int now(const struct scan *s)
{
	return s->at < s->end ? *s->at : -1;
}

static void blanks(struct scan *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
		s->at++;
}

static bool accept(struct scan *s, char c)
{
	if (now(s) != c)
		return false;
	s->at++;
	return true;
}

static bool word(struct scan *s, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(s->end - s->at) < len || memcmp(s->at, text, len) != 0)
		return false;
	s->at += len;
	return true;
}

static bool digits(struct scan *s)
{
	const uint8_t *from = s->at;

	while (now(s) >= '0' && now(s) <= '9')
		s->at++;
	return s->at > from;
}

static bool number(struct scan *s)
{
	accept(s, '-');
	if (!accept(s, '0') && !digits(s))
		return false;
	if (accept(s, '.') && !digits(s))
		return false;
	if (!accept(s, 'e') && !accept(s, 'E'))
		return true;
	if (!accept(s, '+'))
		accept(s, '-');
	return digits(s);
}

static bool hex4(struct scan *s)
{
	for (int i = 0; i < 4; i++, s->at++) {
		int c = now(s);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return false;
	}
	return true;
}

static bool escape(struct scan *s)
{
	int c = now(s);

	if (c < 0 || !strchr("\"\\/bfnrtu", c) || c == 0)
		return false;
	s->at++;
	return c != 'u' || hex4(s);
}

/* *inner: what stands between the quotes. */
static bool string(struct scan *s, struct span *inner)
{
	if (!accept(s, '"'))
		return false;
	inner->at = s->at;
	for (;;) {
		int c = now(s);

		if (c < 0x20)
			return false;
		s->at++;
		if (c == '"')
			break;
		if (c == '\\' && !escape(s))
			return false;
	}
	inner->len = (size_t)(s->at - 1 - inner->at);
	return true;
}

static bool value(struct scan *s, int depth);

static bool is(struct span name, char c)
{
	return name.len == 1 && name.at[0] == c;
}

static void note_member(struct scan *s, struct span name, struct span text)
{
	if (is(name, 'v') && s->out->v.len == 0)
		s->out->v = text;
	else if (is(name, 'q') && s->out->quality.len == 0 && text.at[0] == '"')
		s->out->quality = (struct span){text.at + 1, text.len - 2};
}

static bool member(struct scan *s, int depth)
{
	struct span name, text;

	blanks(s);
	if (!string(s, &name))
		return false;
	blanks(s);
	if (!accept(s, ':'))
		return false;
	blanks(s);
	text.at = s->at;
	if (!value(s, depth + 1))
		return false;
	text.len = (size_t)(s->at - text.at);
	if (depth == 0)
		note_member(s, name, text);
	return true;
}

static bool element(struct scan *s, int depth)
{
	blanks(s);
	return value(s, depth + 1);
}

static bool several(struct scan *s, int depth, char close, bool (*one)(struct scan *s, int depth))
{
	if (depth >= PEEK_DEPTH)
		return false;
	s->at++;
	blanks(s);
	if (accept(s, close))
		return true;
	do {
		if (!one(s, depth))
			return false;
		blanks(s);
	} while (accept(s, ','));
	return accept(s, close);
}

static bool value(struct scan *s, int depth)
{
	struct span inner;

	switch (now(s)) {
	case '{': return several(s, depth, '}', member);
	case '[': return several(s, depth, ']', element);
	case '"': return string(s, &inner);
	case 't': return word(s, "true");
	case 'f': return word(s, "false");
	case 'n': return word(s, "null");
	default: return number(s);
	}
}

static void read_number(struct peek *out)
{
	char text[64], *end;

	if (out->v.len == 0 || out->v.len >= sizeof(text))
		return;
	memcpy(text, out->v.at, out->v.len);
	text[out->v.len] = 0;
	if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
		return;
	out->value = strtod(text, &end);
	out->number = *end == 0 && isfinite(out->value);
}

void peek(struct peek *out, const void *payload, size_t len)
{
	struct scan s = {payload, (const uint8_t *)payload + len, out};
	const uint8_t *from;

	*out = (struct peek){0};
	blanks(&s);
	from = s.at;
	out->json = value(&s, 0);
	if (out->json && *from != '{')
		out->v = (struct span){from, (size_t)(s.at - from)};
	blanks(&s);
	out->json = out->json && s.at == s.end && utf8_ok(payload, len);
	if (out->json)
		read_number(out);
	else
		*out = (struct peek){0};
}
