/* SPDX-License-Identifier: MIT */
#include "config/units.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	int64_t factor;
};

/* What people write instead, in any case of letters; meant "": finer than we go. */
struct loose {
	const char *name;
	const char *meant;
};

static const struct unit times[] = {
	{"d", 24 * 60 * 60 * 1000},
	{"h", 60 * 60 * 1000},
	{"m", 60 * 1000},
	{"s", 1000},
	{"ms", 1},
	{NULL, 0},
};

static const struct loose loose_times[] = {
	{"ms", "ms"},
	{"msec", "ms"},
	{"msecs", "ms"},
	{"millis", "ms"},
	{"millisecond", "ms"},
	{"milliseconds", "ms"},
	{"s", "s"},
	{"sec", "s"},
	{"secs", "s"},
	{"second", "s"},
	{"seconds", "s"},
	{"m", "m"},
	{"min", "m"},
	{"mins", "m"},
	{"minute", "m"},
	{"minutes", "m"},
	{"h", "h"},
	{"hr", "h"},
	{"hrs", "h"},
	{"hour", "h"},
	{"us", ""},
	{"usec", ""},
	{"\xc2\xb5s", ""},
	{"ns", ""},
	{"hours", "h"},
	{"d", "d"},
	{"day", "d"},
	{"days", "d"},
	{NULL, NULL},
};

static const struct unit sizes[] = {
	{"TiB", (int64_t)1 << 40},
	{"TB", 1000000000000},
	{"GiB", 1 << 30},
	{"GB", 1000000000},
	{"MiB", 1 << 20},
	{"MB", 1000000},
	{"KiB", 1024},
	{"kB", 1000},
	{"B", 1},
	{NULL, 0},
};

static const struct loose loose_sizes[] = {
	{"k", "KiB"},
	{"kb", "KiB"},
	{"kib", "KiB"},
	{"m", "MiB"},
	{"mb", "MB"},
	{"mib", "MiB"},
	{"g", "GiB"},
	{"gb", "GB"},
	{"gib", "GiB"},
	{"t", "TiB"},
	{"tb", "TB"},
	{"tib", "TiB"},
	{"b", "B"},
	{"byte", "B"},
	{"bytes", "B"},
	{NULL, NULL},
};

struct number {
	int64_t whole;
	int64_t part, scale; /* part / scale behind the point */
	size_t len;          /* of its text */
};

/* -1: too large; 0: none here; 1: there. */
static int number(struct number *n, const char *text)
{
	const char *s = text;

	*n = (struct number){0, 0, 1, 0};
	if (!isdigit((unsigned char)*s))
		return 0;
	for (; isdigit((unsigned char)*s); s++) {
		if (__builtin_mul_overflow(n->whole, 10, &n->whole) ||
			__builtin_add_overflow(n->whole, *s - '0', &n->whole))
			return -1;
	}
	if (*s == '.' && isdigit((unsigned char)s[1])) {
		for (s++; isdigit((unsigned char)*s) && n->scale < 1000000000; s++) {
			n->part = n->part * 10 + (*s - '0');
			n->scale *= 10;
		}
	}
	n->len = (size_t)(s - text);
	return 1;
}

/* whole * factor + part * factor / scale; a part longer than nine digits is never whole. */
static int multiply(int64_t *out, const struct number *n, int64_t factor)
{
	int64_t part;

	if (__builtin_mul_overflow(n->whole, factor, out) || __builtin_mul_overflow(n->part, factor, &part))
		return UNITS_TOO_LARGE;
	if (part % n->scale)
		return UNITS_NOT_WHOLE;
	return __builtin_add_overflow(*out, part / n->scale, out) ? UNITS_TOO_LARGE : 0;
}

static int look_loosely(
	char fix[UNITS_FIX_CAP], const char *text, const char *unit, size_t number_len, const struct loose *loose)
{
	for (; loose->name; loose++) {
		if (strcasecmp(unit, loose->name) == 0 && !*loose->meant)
			return UNITS_NOT_WHOLE;
		if (strcasecmp(unit, loose->name) == 0) {
			snprintf(fix, UNITS_FIX_CAP, "%.*s%s", number_len < 24 ? (int)number_len : 24, text,
				loose->meant);
			return UNITS_LOOSE;
		}
	}
	return UNITS_BAD_UNIT;
}

static int parse(
	int64_t *out, char fix[UNITS_FIX_CAP], const char *text, const struct unit *units, const struct loose *loose)
{
	struct number n;
	const char *unit;
	int r;

	fix[0] = '\0';
	if (text[0] == '-')
		return UNITS_NEGATIVE;
	r = number(&n, text);
	if (r <= 0)
		return r < 0 ? UNITS_TOO_LARGE : UNITS_NO_NUMBER;
	unit = text + n.len;
	if (*unit == '\0') {
		*out = n.whole;
		return n.whole == 0 && n.part == 0 ? 0 : UNITS_NO_UNIT;
	}
	for (; units->name; units++) {
		if (strcmp(unit, units->name) == 0)
			return multiply(out, &n, units->factor);
	}
	return look_loosely(fix, text, unit + strspn(unit, " "), n.len, loose);
}

int units_time(int64_t *ms, char fix[UNITS_FIX_CAP], const char *text)
{
	return parse(ms, fix, text, times, loose_times);
}

/* A size without a unit is in bytes. */
int units_size(int64_t *bytes, char fix[UNITS_FIX_CAP], const char *text)
{
	int r = parse(bytes, fix, text, sizes, loose_sizes);

	return r == UNITS_NO_UNIT && !strchr(text, '.') ? 0 : r;
}

static const char *in_units(char *out, size_t cap, int64_t value, const struct unit *units, const char *zero)
{
	if (value == 0)
		snprintf(out, cap, "%s", zero);
	for (; value && units->name; units++) {
		if (value % units->factor == 0) {
			snprintf(out, cap, "%lld%s", (long long)(value / units->factor), units->name);
			break;
		}
	}
	return out;
}

const char *units_time_text(char *out, size_t cap, int64_t ms)
{
	return in_units(out, cap, ms, times, "0s");
}

/* Powers of two before powers of ten; plain bytes have no unit. */
const char *units_size_text(char *out, size_t cap, int64_t bytes)
{
	static const struct unit shown[] = {
		{"TiB", (int64_t)1 << 40},
		{"GiB", 1 << 30},
		{"MiB", 1 << 20},
		{"KiB", 1024},
		{"TB", 1000000000000},
		{"GB", 1000000000},
		{"MB", 1000000},
		{"kB", 1000},
		{"", 1},
		{NULL, 0},
	};

	return in_units(out, cap, bytes, shown, "0");
}
