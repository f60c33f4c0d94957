/* SPDX-License-Identifier: MIT */
/* hints.h - what keeps happening to an upstream: told once, and what it amounts to.
 *
 * A server that takes no record of ours refuses each, and who shares a client id is thrown out each time the other comes:
 * a line in the log for every one of them would hide what is wrong.
 *
 * Pure: time is an argument, monotonic.
 */
#ifndef BRIDGE_HINTS_H
#define BRIDGE_HINTS_H

#include <stdbool.h>
#include <stdint.h>

enum { HINTS_QUIET_MS = 60 * 1000, HINTS_SHORT_MS = 15 * 1000, HINTS_SHORT_LIVES = 3 };

struct hints {
	uint8_t code; /* of the last refusal that was told; */
	int64_t told_ms;
	uint64_t untold;
	bool was_up;
	int64_t up_ms;
	int short_lives; /* links that ended soon after they had come up, one after the other */
};

/* A refusal is to be told: it is the first of its code, or the last was told long ago. *untold: how many others since. */
bool hints_refused(struct hints *h, uint8_t code, int64_t now_ms, uint64_t *untold);
void hints_up(struct hints *h, int64_t now_ms);
/* The link ended. true: the third time in a row that it did so soon after it had come up, or a later one. */
bool hints_down(struct hints *h, int64_t now_ms);

#endif
