/* SPDX-License-Identifier: MIT */
#include "base/topic.h"

#include "base/utf8.h"

#include <string.h>

static bool too_deep(const char *s, size_t len)
{
	int levels = 1;

	for (size_t i = 0; i < len; i++)
		levels += s[i] == '/';
	return levels > TOPIC_MAX_LEVELS;
}

static enum topic_fault check(const char *s, size_t len)
{
	if (len == 0)
		return TOPIC_EMPTY;
	if (len > TOPIC_MAX_LEN)
		return TOPIC_TOO_LONG;
	if (!utf8_ok(s, len))
		return TOPIC_BAD_UTF8;
	return too_deep(s, len) ? TOPIC_TOO_DEEP : TOPIC_OK;
}

enum topic_fault topic_check_name(const char *name, size_t len)
{
	enum topic_fault f = check(name, len);

	if (f == TOPIC_OK && (memchr(name, '+', len) || memchr(name, '#', len)))
		return TOPIC_WILDCARD;
	return f;
}

enum topic_fault topic_check_filter(const char *filter, size_t len)
{
	enum topic_fault f = check(filter, len);

	for (size_t i = 0; f == TOPIC_OK && i < len; i++) {
		bool starts = i == 0 || filter[i - 1] == '/';
		bool ends = i + 1 == len || filter[i + 1] == '/';

		if (filter[i] == '+' && !(starts && ends)) /* [MQTT-4.7.1-2] */
			f = TOPIC_BAD_WILDCARD;
		if (filter[i] == '#' && !(starts && i + 1 == len)) /* [MQTT-4.7.1-1] */
			f = TOPIC_BAD_WILDCARD;
	}
	return f;
}

const char *topic_fault_text(enum topic_fault f)
{
	static const char *const text[] = {
		[TOPIC_OK] = "is fine",
		[TOPIC_EMPTY] = "is empty",
		[TOPIC_TOO_LONG] = "is longer than 65535 bytes",
		[TOPIC_TOO_DEEP] = "has more than 200 levels",
		[TOPIC_BAD_UTF8] = "is not valid UTF-8, or has a NUL",
		[TOPIC_WILDCARD] = "has a wildcard, which only a filter may have",
		[TOPIC_BAD_WILDCARD] = "has a wildcard that does not fill its level, or a # that is not last",
	};

	return text[f];
}

struct levels {
	const char *at, *end;
	bool more;
};

static struct levels levels_of(const char *s, size_t len)
{
	return (struct levels){s, s + len, true};
}

/* The next level; its length through *len. Call only while ->more. */
static const char *next_level(struct levels *l, size_t *len)
{
	const char *start = l->at, *slash = memchr(start, '/', (size_t)(l->end - start));

	*len = (size_t)((slash ? slash : l->end) - start);
	l->more = slash != NULL;
	l->at = slash ? slash + 1 : l->end;
	return start;
}

bool topic_matches(const char *filter, size_t filter_len, const char *name, size_t name_len)
{
	struct levels f = levels_of(filter, filter_len), n = levels_of(name, name_len);

	if (name[0] == '$' && (filter[0] == '+' || filter[0] == '#')) /* [MQTT-4.7.2-1] */
		return false;
	while (f.more) {
		size_t flen, nlen;
		const char *fl = next_level(&f, &flen), *nl;

		if (flen == 1 && fl[0] == '#')
			return true; /* also the parent level: a/# matches a */
		if (!n.more)
			return false;
		nl = next_level(&n, &nlen);
		if (!(flen == 1 && fl[0] == '+') && (flen != nlen || memcmp(fl, nl, flen) != 0))
			return false;
	}
	return !n.more;
}

bool topic_covers(const char *outer, size_t outer_len, const char *inner, size_t inner_len)
{
	struct levels o = levels_of(outer, outer_len), i = levels_of(inner, inner_len);

	if (inner[0] == '$' && (outer[0] == '+' || outer[0] == '#'))
		return false;
	if (outer_len == 3 && memcmp(outer, "+/#", 3) == 0)
		return true; /* the other spelling of #: every name has a first level */
	while (o.more) {
		size_t olen, ilen;
		const char *ol = next_level(&o, &olen), *il;

		if (olen == 1 && ol[0] == '#')
			return true;
		if (!i.more)
			return false;
		il = next_level(&i, &ilen);
		if (ilen == 1 && il[0] == '#')
			return false;
		if (!(olen == 1 && ol[0] == '+') && (olen != ilen || memcmp(ol, il, olen) != 0))
			return false;
	}
	return !i.more;
}
