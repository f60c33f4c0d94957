/* SPDX-License-Identifier: MIT */
/* backoff.h - how long to wait before the next attempt, with full jitter.
 *
 * The nth wait is drawn evenly from 0 .. min(cap, base * 2^n), so that a thousand gateways that lost the same
 * broker do not come back in the same second. Never below floor_ms. Pure: the caller brings the random number.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t floor_ms;
	int64_t base_ms;
	int64_t cap_ms;
	unsigned attempt;
};

int64_t backoff_next_ms(struct backoff *b, uint32_t random);
void backoff_reset(struct backoff *b); /* after a success */

/* A random number good enough to spread attempts; not for secrets. */
uint32_t backoff_random(void);

#endif
