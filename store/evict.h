/* SPDX-License-Identifier: MIT */
/* evict.h - makes room: takes the records of one class out of the oldest blocks that have some, and leaves a gap.
 *
 * A window of neighbouring blocks is rewritten at a time: what stays goes back as fewer, fuller blocks, and one gap
 * record stands for all that went, merged with the gap of the window before when nothing is left between them.
 * Owner     the queue, within its transaction.
 * Memory    the bytes of one window.
 * Outcomes  EVICT_NONE: there is no record of that class.
 */
#ifndef STORE_EVICT_H
#define STORE_EVICT_H

#include "base/msg.h"
#include "store/block.h"
#include "store/db.h"

enum { EVICT_NONE = 1 };

struct evict_opts {
	enum msg_class class;
	uint64_t after;    /* look behind this seq */
	uint64_t gap_row;  /* the block that ended in the gap of the last window; 0: none */
	uint64_t passed;   /* a gap at or below has been seen by an upstream, and is left as it is */
	const char *topic; /* of gap records */
	int64_t wall_ms;
};

struct evict_result {
	uint64_t last;    /* of the window: go on behind it; EVICT_NONE: of what was looked at */
	uint64_t gap_row; /* for the next window */
	uint64_t count;   /* records gone */
};

/* block is used for packing. 0, EVICT_NONE or -errno. */
int evict_window(struct db *d, struct block *block, const struct evict_opts *opts, struct evict_result *out);

#endif
