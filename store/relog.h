/* SPDX-License-Identifier: MIT */
/* relog.h - copies the log of one database into another, in order and without a hole.
 *
 * Blocks follow each other without a hole: the first seq of one is the last of the one before plus one, whatever was
 * evicted between them. So every hole is damage: the pages of the old file are searched for blocks that fit into it, and
 * what is still missing gets a gap record.
 * Owner     whoever has both databases open; the old one may be in use by a writer, the new one by nobody.
 * Bounds    the old one is read in a transaction for each block, so its writer is not held up. Only when the writer
 *           settles all of it faster than it can be copied, one transaction holds what is left: it is short.
 * Failures  what cannot be read for a passing reason is no damage: the copy fails.
 */
#ifndef STORE_RELOG_H
#define STORE_RELOG_H

#include "store/db.h"

struct relog_opts {
	struct db *from; /* NULL: nothing of it can be read */
	struct db *to;
	const char *from_path; /* to look at its pages */
	const char *topic;     /* of gap records */
	uint64_t seq_limit;    /* no seq at or above was ever given out */
	int64_t wall_ms;
	bool in_use;  /* a writer goes on with `from`: stop at what is its last record now */
	bool salvage; /* what the disk does not give counts as damaged; else the copy fails with -EIO */
};

struct relog_result {
	uint64_t records; /* copied */
	uint64_t last;    /* seq of the last of them */
	uint64_t lost;    /* known to be lost */
	bool unknown;     /* and there may be more */
};

int relog(const struct relog_opts *opts, struct relog_result *out);

#endif
