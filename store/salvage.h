/* SPDX-License-Identifier: MIT */
/* salvage.h - a damaged queue.db is set aside, and what can be read of it becomes a new one.
 *
 * How files change places, and what a crash in between leaves, is aside.h's.
 * Owner     the queue, with queue.db closed.
 */
#ifndef STORE_SALVAGE_H
#define STORE_SALVAGE_H

#include "store/db.h"
#include "store/relog.h"

struct salvage_opts {
	const char *dir;
	struct db_opts db;  /* of the new file */
	const char *topic;  /* of gap records */
	uint64_t seq_limit; /* no seq at or above was ever given out */
	int64_t wall_ms;
};

int salvage_resume(const char *dir, int64_t wall_ms);    /* before queue.db is opened */
int salvage_stale_wal(const char *dir, int64_t wall_ms); /* after a clean end: a WAL with something in it is not ours */
int salvage(const struct salvage_opts *opts, struct relog_result *out);

#endif
