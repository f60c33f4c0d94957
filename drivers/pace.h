/* SPDX-License-Identifier: MIT */
/* pace.h - how soon replies begin, as far as that is known. Pure.
 *
 * Of a device, and of all devices of a line together: what neighbours need is the first guess for one that was not
 * heard yet, and their spread the first guess for one that was heard a few times only.
 */
#ifndef DRIVERS_PACE_H
#define DRIVERS_PACE_H

#include <stdint.h>

enum { PACE_FEW = 8 }; /* so few replies tell little of how they spread */

struct pace {
	int64_t turnaround_us, deviation_us; /* smoothed */
	int64_t slowest_us;                  /* fades, over some hundred replies */
	int64_t usual_us;                    /* about the median: one that came very late does not move it far */
	uint64_t measured;                   /* 0: nothing is known */
};

void pace_learn(struct pace *p, int64_t turnaround_us);
/* How long to wait for the next reply to begin; 0: nothing is known, not of its neighbours (others) either. Generous:
 * losing a reply that would have come costs more than the wait for one that does not. */
int64_t pace_patience_us(const struct pace *p, const struct pace *others);
/* The same where losing one costs little: most replies have begun by then. */
int64_t pace_haste_us(const struct pace *p, const struct pace *others);

#endif
