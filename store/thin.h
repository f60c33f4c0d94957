/* SPDX-License-Identifier: MIT */
/* thin.h - makes room by keeping less of old readings: of each topic and each bucket of time the first, the last, the
 * least and the greatest stay, and say that they were thinned; a gap record stands for what went.
 *
 * Only records of the classes telemetry and bulk whose topic a rule names and whose payload is a number, or an object
 * that begins with a number "v", are touched. A bucket that spans two windows is thinned in each.
 * Owner     the queue, within its transaction.
 * Memory    the bytes of one window and some words for each of its records.
 * Outcomes  THIN_END: no window of blocks is left that is full enough.
 */
#ifndef STORE_THIN_H
#define STORE_THIN_H

#include "store/block.h"
#include "store/db.h"

enum { THIN_END = 1 };

struct thin_rule {
	const char *topics; /* a filter */
	int64_t bucket_ms;
};

struct thin_opts {
	const struct thin_rule *rules; /* the first that matches holds */
	size_t rule_count;
	uint64_t after;    /* look behind this seq */
	const char *topic; /* of gap records */
	int64_t wall_ms;
};

struct thin_result {
	uint64_t last;  /* of the window: go on behind it */
	uint64_t count; /* records gone; 0: it was not worth writing it again */
};

/* block is used for packing. 0, THIN_END or -errno. */
int thin_window(struct db *d, struct block *block, const struct thin_opts *opts, struct thin_result *out);

bool thin_value(struct span payload, double *out); /* false: not a number, and never thinned */

#endif
