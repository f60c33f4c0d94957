/* SPDX-License-Identifier: MIT */
/* salvage.h - a damaged queue.db is set aside, and what can be read of it becomes a new one.
 *
 * queue.new is filled from queue.db; complete, it becomes queue.ready; then the damaged file with its WAL is renamed to
 * queue-TIME.db and queue.ready to queue.db. A crash at any point is picked up by salvage_resume(): either the damaged
 * file is still in its place and all is done again, or queue.ready is complete and the renames are finished.
 * Nothing is ever deleted but a half-made queue.new.
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
