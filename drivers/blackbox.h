/* SPDX-License-Identifier: MIT */
/* blackbox.h - the last frames of a line, into the log, when something went wrong on it.
 *
 * What came before a fault is gone from the ring by the time somebody looks. So it is written down by itself, once a
 * minute at most, and how many faults there were since the last time.
 *
 * Owner     line thread.
 */
#ifndef DRIVERS_BLACKBOX_H
#define DRIVERS_BLACKBOX_H

#include "base/tape.h"

struct blackbox {
	int64_t told_us; /* 0: never */
	uint64_t silent; /* faults since, that were not told */
};

/* The fault is the last note on the tape. */
void blackbox_fault(struct blackbox *b, const char *line, struct tape *tape, int64_t now_us);

#endif
