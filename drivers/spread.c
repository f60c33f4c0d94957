/* SPDX-License-Identifier: MIT */
#include "drivers/spread.h"

#include <math.h>

enum { LEAST_US = 64, BUCKETS_PER_DOUBLING = 8 };

static unsigned bucket_of(int64_t us)
{
	double at = us > LEAST_US ? BUCKETS_PER_DOUBLING * log2((double)us / LEAST_US) : 0;

	return at < SPREAD_BUCKETS ? (unsigned)at : SPREAD_BUCKETS - 1;
}

static int64_t middle_of(unsigned bucket)
{
	return (int64_t)(LEAST_US * exp2((bucket + 0.5) / BUCKETS_PER_DOUBLING));
}

static void fade(struct spread *s)
{
	s->total = 0;
	for (unsigned i = 0; i < SPREAD_BUCKETS; i++) {
		s->count[i] /= 2;
		s->total = (uint16_t)(s->total + s->count[i]);
	}
}

void spread_add(struct spread *s, int64_t us)
{
	if (s->total == SPREAD_FULL)
		fade(s);
	s->count[bucket_of(us)]++;
	s->total++;
}

int64_t spread_at(const struct spread *s, unsigned permille)
{
	unsigned below = 0, wanted = (s->total * permille + 999) / 1000;

	for (unsigned i = 0; i < SPREAD_BUCKETS; i++) {
		below += s->count[i];
		if (below > 0 && below >= wanted)
			return middle_of(i);
	}
	return -1;
}
