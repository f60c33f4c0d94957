/* SPDX-License-Identifier: MIT */
/* relog_parts.h - what the two files of relog.h share: relog.c walks the old log, relog_block.c writes the new one.
 * Nobody else includes it.
 */
#ifndef STORE_RELOG_PARTS_H
#define STORE_RELOG_PARTS_H

#include "store/block.h"
#include "store/carve.h"
#include "store/relog.h"

struct job {
	const struct relog_opts *opts;
	struct relog_result *result;
	struct block *block;
	struct carve *carve;       /* made when there is a hole */
	uint64_t at, committed_at; /* the last seq in the new file; 0: none yet */
	uint64_t floor;            /* every upstream has acknowledged up to here; UINT64_MAX: not known */
	uint64_t end;              /* the last that is wanted; 0: all */
	unsigned rows;             /* since the last commit */
	bool damaged;              /* the old tree could not be walked from end to end */
};

/* relog_block.c */
int relog_take(struct job *j, const struct db_block *b); /* what of it follows what is in the new file */
int relog_put_hole(struct job *j, uint64_t first, uint64_t to, bool counted); /* a gap for these seqs */

#endif
