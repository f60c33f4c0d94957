/* SPDX-License-Identifier: MIT */
/* grade.h - how sound the wire to a device is, from what became of its requests. Pure.
 *
 * A damaged reply is the wire's fault, or that of somebody else on it; a missing one may be. A device that is gone says
 * nothing about the wire, so only requests to one that answers otherwise are to be counted.
 */
#ifndef DRIVERS_GRADE_H
#define DRIVERS_GRADE_H

#include <stdbool.h>
#include <stdint.h>

enum { GRADE_FULL = 1000 };
enum grade_event { GRADE_SOUND, GRADE_MISSING, GRADE_DAMAGED };

struct grade {
	int64_t lost;    /* in millionths of a request, of the last hundred or so */
	bool marginal;   /* one of twenty is damaged; until it is one of sixty */
	unsigned events; /* few tell nothing */
};

/* True when marginal has changed. */
bool grade_add(struct grade *g, enum grade_event event);
unsigned grade_permille(const struct grade *g); /* GRADE_FULL: nothing was wrong lately */

#endif
