/* SPDX-License-Identifier: MIT */
/* keeper.h - broker.db and what is known of it in memory: commits, tidying, replay and mending, one call at a time.
 *
 * Owner     the thread that opens and replays, then the ledger's writer.
 * Promise   what keeper_commit() took is safe when it returns 0, all of it; after a failure none of it counts, and the
 *           same gather is given again.
 * Bounds    opts.max_bytes on the disk with WAL and index. Where that is to be preallocated and the disk has not so
 *           much, half of what it has, which is taken then, but not less than the file has already. keeper_tidy() being
 *           called when it is due, folios take at most about twice what lives in them.
 */
#ifndef STORE_KEEPER_H
#define STORE_KEEPER_H

#include "store/gather.h"

#include <stdbool.h>
#include <stdint.h>

struct keeper;

struct keeper_opts {
	const char *dir;
	bool sync;         /* commits reach the disk: power; else the kernel: process */
	bool preallocate;  /* take the room now */
	int64_t max_bytes; /* on the disk */
};

/* Makes broker.db if it is not there; where there is no room for that, or for writing to it, it is left to
 * keeper_mend(). -EPROTO: a newer weir made it; -EACCES and the like; the reason is logged. */
int keeper_open(struct keeper **out, const struct keeper_opts *opts, int64_t wall_ms);
/* Once, before any commit: every live entry, ascending. Damage is set aside on the way, and the walk goes on with what
 * was salvaged. Not 0 from each() ends it and is returned. */
int keeper_replay(
	struct keeper *k, int (*each)(void *arg, uint64_t number, struct span bytes), void *arg, int64_t wall_ms);
uint64_t keeper_next(const struct keeper *k); /* numbers go on from here */
void keeper_close(struct keeper *k);          /* NULL is fine */

bool keeper_is_open(const struct keeper *k); /* false: before anything else it must be mended */
int keeper_commit(struct keeper *k, struct gather *g);
bool keeper_is_untidy(const struct keeper *k);
int keeper_tidy(struct keeper *k);       /* some of it, in a commit of its own */
int keeper_checkpoint(struct keeper *k); /* when it is due */
/* The disk had no room for opts.max_bytes; it may have more by now. keeper_widen() says whether it took it, or -errno:
 * then the file is not open. */
bool keeper_is_cramped(const struct keeper *k);
int keeper_widen(struct keeper *k);
/* After failures: opens the file again; damaged: sets it aside and fills a new one from it. What lives in memory and is
 * no longer there is counted as lost. */
int keeper_mend(struct keeper *k, bool damaged, int64_t wall_ms);

const char *keeper_text(const struct keeper *k); /* what went wrong last */

struct keeper_stats {
	uint64_t entries; /* that live */
	uint64_t commits, folios;
	uint64_t rewrites; /* runs of folios that were written again as one */
	uint64_t salvaged, lost;
	int64_t max_bytes; /* the bound that holds */
	int64_t live_bytes, disk_bytes;
	int64_t room_bytes; /* that may still be put */
};
void keeper_stats(const struct keeper *k, struct keeper_stats *out);

#endif
