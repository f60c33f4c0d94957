/* SPDX-License-Identifier: MIT */
/* units.h - times and sizes as people write them: 200ms 5s 10m 6h 7d, 4096 64KiB 10MB.
 *
 * Pure. One number, which may have decimals as long as the result is whole, and one unit directly behind it.
 */
#ifndef CONFIG_UNITS_H
#define CONFIG_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* Outcomes. LOOSE: it can be guessed what was meant; fix holds it in the right spelling. */
enum {
	UNITS_NO_NUMBER = 1,
	UNITS_NO_UNIT,
	UNITS_LOOSE,
	UNITS_BAD_UNIT,
	UNITS_NOT_WHOLE,
	UNITS_TOO_LARGE,
	UNITS_NEGATIVE
};

enum { UNITS_FIX_CAP = 64 };

int units_time(int64_t *ms, char fix[UNITS_FIX_CAP], const char *text);
int units_size(int64_t *bytes, char fix[UNITS_FIX_CAP], const char *text);

/* The largest unit that needs no decimals: 90000 is "90s", 3600000 "1h", 65536 "64KiB". Returns out. */
const char *units_time_text(char *out, size_t cap, int64_t ms);
const char *units_size_text(char *out, size_t cap, int64_t bytes);

#endif
