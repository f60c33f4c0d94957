/* SPDX-License-Identifier: MIT */
/* trust.h - since when the wall clock can be believed.
 *
 * On a machine that has no clock of its own, or one whose battery is flat, the first records are taken at a time that
 * is made up. The clock is believed when the kernel says that somebody keeps it right; and, where store.clock leaves it
 * to us, when it went on while the machine was off and is behind neither this program nor what the log holds already.
 * What was believed once is believed until the next boot.
 * Owner     the writer.
 * Time      of the clock that it was given.
 */
#ifndef STORE_TRUST_H
#define STORE_TRUST_H

#include "base/clock.h"
#include "store/queue.h"

#include <stdbool.h>

enum trust_rule { TRUST_AUTO, TRUST_SYNCED, TRUST_ALWAYS };

struct trust {
	const struct clock *clock;
	enum trust_rule rule;
	uint32_t boot;
	int64_t least_ms; /* a wall clock behind this is wrong */
	int64_t since_ms; /* monotonic; INT64_MAX: not yet, INT64_MIN: from the start */
	bool looked;      /* at the clock, once at least */
};

void trust_init(struct trust *t, const struct clock *clock, enum trust_rule rule);
void trust_recall(struct trust *t, const struct queue_clock *known); /* what the log knows; before trust_now() */
struct queue_time trust_now(struct trust *t);

#endif
