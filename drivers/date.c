/* SPDX-License-Identifier: MIT */
#include "drivers/date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const uint64_t END_S = 7258118400; /* 2200 */

enum { PARTS = 6, FIRST_YEAR = 1970, LAST_YEAR = 2199, CENTURY = 2000 };

bool date_is(int type)
{
	return type >= TYPE_TIME32 && type <= TYPE_TIME6YY;
}

/* --- zones ------------------------------------------------------------------------------------------------------- */

bool date_zone(const char *text, bool *local, int64_t *ahead_s)
{
	unsigned hours, minutes;
	char sign, end;

	*local = strcmp(text, "local") == 0;
	*ahead_s = 0;
	if (*local || strcmp(text, "utc") == 0)
		return true;
	if (strlen(text) != 6 || sscanf(text, "%c%2u:%2u%c", &sign, &hours, &minutes, &end) != 3)
		return false;
	*ahead_s = (int64_t)hours * 3600 + (int64_t)minutes * 60;
	if (sign == '-')
		*ahead_s = -*ahead_s;
	return (sign == '+' || sign == '-') && hours <= 14 && minutes < 60;
}

static bool moment_of(const struct point_opts *p, struct tm *tm, int64_t *at_s)
{
	int64_t ahead_s;
	bool local;

	if (!date_zone(p->zone ? p->zone : "utc", &local, &ahead_s))
		return false;
	tm->tm_isdst = -1;
	*at_s = local ? (int64_t)mktime(tm) : (int64_t)timegm(tm) - ahead_s;
	return true;
}

static bool calendar_of(const struct point_opts *p, int64_t at_s, struct tm *tm)
{
	time_t t = (time_t)at_s;
	int64_t ahead_s;
	bool local;

	if (!date_zone(p->zone ? p->zone : "utc", &local, &ahead_s))
		return false;
	if (local)
		return localtime_r(&t, tm) != NULL;
	t += (time_t)ahead_s;
	return gmtime_r(&t, tm) != NULL;
}

/* --- six parts: year, month, day, hour, minute, second ----------------------------------------------------------- */

static bool from_parts(const struct point_opts *p, const unsigned *part, int64_t *at_s)
{
	static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct tm tm = {.tm_year = (int)part[0] - 1900,
		.tm_mon = (int)part[1] - 1,
		.tm_mday = (int)part[2],
		.tm_hour = (int)part[3],
		.tm_min = (int)part[4],
		.tm_sec = (int)part[5]};

	if (part[0] < FIRST_YEAR || part[0] > LAST_YEAR || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
		part[2] > days[part[1] - 1] || part[3] > 23 || part[4] > 59 || part[5] > 59)
		return false;
	return moment_of(p, &tm, at_s) && tm.tm_mday == (int)part[2]; /* 30 February moved on to March */
}

static bool to_parts(const struct point_opts *p, int64_t at_s, unsigned *part)
{
	struct tm tm;

	if (!calendar_of(p, at_s, &tm) || tm.tm_year + 1900 < FIRST_YEAR || tm.tm_year + 1900 > LAST_YEAR)
		return false;
	part[0] = (unsigned)tm.tm_year + 1900;
	part[1] = (unsigned)tm.tm_mon + 1;
	part[2] = (unsigned)tm.tm_mday;
	part[3] = (unsigned)tm.tm_hour;
	part[4] = (unsigned)tm.tm_min;
	part[5] = (unsigned)(tm.tm_sec < 60 ? tm.tm_sec : 59);
	return true;
}

/* --- registers --------------------------------------------------------------------------------------------------- */

/* Registers in the order of the layout: with a low register first the second stands first. */
static void arrange(const struct point_opts *p, const uint16_t *from, uint16_t *to, unsigned words)
{
	for (unsigned i = 0; i < words; i++) {
		uint16_t r = from[p->order & ORDER_SWAP_WORDS ? words - 1 - i : i];

		to[i] = (uint16_t)(p->order & ORDER_SWAP_BYTES ? r >> 8 | r << 8 : r);
	}
}

static bool from_bcd(unsigned byte, unsigned *out)
{
	*out = (byte >> 4) * 10 + (byte & 15);
	return byte >> 4 < 10 && (byte & 15) < 10;
}

static unsigned to_bcd(unsigned v)
{
	return v / 10 << 4 | v % 10;
}

static bool has_yy(int type)
{
	return type == TYPE_TIME_BCD || type == TYPE_TIME6YY;
}

bool date_decode(const struct point_opts *p, const uint16_t *regs, int64_t *at_s)
{
	unsigned words = point_words(p), part[PARTS];
	uint16_t r[PARTS];

	arrange(p, regs, r, words);
	for (unsigned i = 0; i < PARTS; i++) {
		if (p->type != TYPE_TIME_BCD)
			part[i] = r[i];
		else if (!from_bcd(i % 2 ? r[i / 2] & 0xff : r[i / 2] >> 8, &part[i]))
			return false;
	}
	if (has_yy(p->type) && part[0] > 99)
		return false;
	if (has_yy(p->type))
		part[0] += CENTURY;
	return from_parts(p, part, at_s);
}

bool date_encode(const struct point_opts *p, int64_t at_s, uint16_t *regs)
{
	unsigned words = point_words(p), part[PARTS];
	uint16_t r[PARTS] = {0};

	if (!to_parts(p, at_s, part) || (has_yy(p->type) && part[0] / 100 != CENTURY / 100))
		return false;
	part[0] -= has_yy(p->type) ? CENTURY : 0;
	for (unsigned i = 0; i < PARTS; i++) {
		if (p->type != TYPE_TIME_BCD)
			r[i] = (uint16_t)part[i];
		else
			r[i / 2] = (uint16_t)((unsigned)r[i / 2] << 8 | to_bcd(part[i]));
	}
	arrange(p, r, regs, words);
	return true;
}

bool date_from_count(const struct point_opts *p, uint64_t count, int64_t *at_s)
{
	struct point_opts utc = {.zone = NULL};
	unsigned part[PARTS];

	return count < END_S && to_parts(&utc, (int64_t)count, part) && from_parts(p, part, at_s);
}

bool date_to_count(const struct point_opts *p, int64_t at_s, uint64_t *count)
{
	struct point_opts utc = {.zone = NULL};
	unsigned part[PARTS];
	int64_t s = 0;

	if (at_s < 0 || !to_parts(p, at_s, part) || !from_parts(&utc, part, &s) || s < 0)
		return false;
	*count = (uint64_t)s;
	return true;
}

/* --- text -------------------------------------------------------------------------------------------------------- */

size_t date_text(int64_t at_s, char *out)
{
	time_t t = (time_t)at_s;
	struct tm tm;

	return gmtime_r(&t, &tm) ? strftime(out, DATE_TEXT_CAP, "%Y-%m-%dT%H:%M:%SZ", &tm) : 0;
}

bool date_parse(const char *text, size_t len, int64_t *at_s)
{
	enum { SHORT = 19 };
	struct point_opts p = {.zone = NULL};
	unsigned part[PARTS];
	char copy[32], zone[8], t;

	if (len < SHORT + 1 || len > SHORT + 6)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (sscanf(copy, "%4u-%2u-%2u%c%2u:%2u:%2u%7s", &part[0], &part[1], &part[2], &t, &part[3], &part[4], &part[5],
		    zone) != 8 ||
		(t != 'T' && t != ' '))
		return false;
	p.zone = strcmp(zone, "Z") == 0 ? "utc" : zone;
	return strcmp(zone, "local") != 0 && from_parts(&p, part, at_s);
}
