/* SPDX-License-Identifier: MIT */
#include "base/backoff.h"

#include <sys/random.h>
#include <time.h>

int64_t backoff_next_ms(struct backoff *b, uint32_t random)
{
	int64_t top = b->base_ms;

	for (unsigned i = 0; i < b->attempt && top < b->cap_ms; i++)
		top *= 2;
	if (top > b->cap_ms)
		top = b->cap_ms;
	if (b->attempt < 63)
		b->attempt++;
	if (top <= b->floor_ms)
		return b->floor_ms;
	return b->floor_ms + (int64_t)random % (top - b->floor_ms + 1);
}

void backoff_reset(struct backoff *b)
{
	b->attempt = 0;
}

uint32_t backoff_random(void)
{
	struct timespec t;
	uint32_t r;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) == (ssize_t)sizeof(r))
		return r;
	clock_gettime(CLOCK_MONOTONIC, &t); /* early boot: no entropy yet, and no secret either */
	return (uint32_t)t.tv_nsec * 2654435761u;
}
