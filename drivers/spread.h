/* SPDX-License-Identifier: MIT */
/* spread.h - how a time is spread: what half of the readings stay below, what 99 of 100 do. Pure.
 *
 * Buckets an eighth of a doubling wide, so what comes out is within 5 % of what went in, from 64 us to 16 s; more counts
 * as that. Old readings fade: with each SPREAD_FULL of them all counts are halved.
 */
#ifndef DRIVERS_SPREAD_H
#define DRIVERS_SPREAD_H

#include <stdint.h>

enum { SPREAD_BUCKETS = 18 * 8, SPREAD_FULL = 4096 };

struct spread {
	uint16_t count[SPREAD_BUCKETS];
	uint16_t total;
};

void spread_add(struct spread *s, int64_t us);
/* What so many of a thousand readings stay below; -1: there is none. */
int64_t spread_at(const struct spread *s, unsigned permille);

#endif
