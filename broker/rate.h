/* SPDX-License-Identifier: MIT */
/* rate.h - how fast one client may publish: it is slowed, by not being read, and never cut off for it.
 *
 * Owner     broker thread.
 * Each message costs time: the longer of what its number and its bytes cost at the rates allowed. A client may be up
 * to a second ahead of that, so short bursts pass; one that has used up its second is held until it is paid back.
 */
#ifndef BROKER_RATE_H
#define BROKER_RATE_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

struct rate_terms {
	int64_t messages, bytes; /* a second; 0: no bound */
};

/* Pure: takes a message of so many bytes out of *paid_us. false: not now, nothing was taken. */
bool rate_take(int64_t *paid_us, const struct rate_terms *terms, size_t bytes, int64_t now_ms);

bool rate_allows(struct conn *c, size_t bytes); /* false: c is held, and goes on by itself */
bool rate_slows(const struct conn *c);          /* is it held for that now? */
void rate_tick(struct loop_timer *t);           /* broker->rate_timer */

#endif
