/* SPDX-License-Identifier: MIT */
#include "gateway/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *human_age(char out[HUMAN_MAX], int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 10000)
		snprintf(out, HUMAN_MAX, "%.1f s", (double)ms / 1000);
	else if (s < 120)
		snprintf(out, HUMAN_MAX, "%" PRId64 " s", s);
	else if (s < 7200)
		snprintf(out, HUMAN_MAX, "%" PRId64 " min", s / 60);
	else if (s < 172800)
		snprintf(out, HUMAN_MAX, "%" PRId64 " h", s / 3600);
	else
		snprintf(out, HUMAN_MAX, "%" PRId64 " days", s / 86400);
	return out;
}

const char *human_bytes(char out[HUMAN_MAX], int64_t n)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)n;
	size_t u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(out, HUMAN_MAX, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[u]);
	return out;
}

const char *human_time(char out[HUMAN_MAX], int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000 - (wall_ms % 1000 < 0));
	int ms = (int)((wall_ms % 1000 + 1000) % 1000);
	char text[HUMAN_MAX];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		snprintf(out, HUMAN_MAX, "%" PRId64, wall_ms);
	else
		snprintf(out, HUMAN_MAX, "%.24s.%03dZ", text, ms);
	return out;
}

static bool read_age(const char *text, int64_t *ms)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
	char *end;
	long n = strtol(text, &end, 10);

	for (size_t i = 0; end != text && n >= 0 && n < 1000000 && i < sizeof(units) / sizeof(units[0]); i++)
		if (end[0] == units[i].unit && end[1] == '\0') {
			*ms = n * units[i].ms;
			return true;
		}
	return false;
}

bool human_read_time(const char *text, int64_t now_ms, int64_t *wall_ms)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
	int64_t ago;

	if (strcmp(text, "now") == 0) {
		*wall_ms = now_ms;
		return true;
	}
	if (read_age(text, &ago)) {
		*wall_ms = now_ms - ago;
		return true;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);

		if (end && *end == '\0') {
			*wall_ms = (int64_t)timegm(&tm) * 1000;
			return true;
		}
	}
	return false;
}
