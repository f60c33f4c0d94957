/* SPDX-License-Identifier: MIT */
/* lane.h - one walk through the store in the order of seq, and what of it is in flight.
 *
 * Owner     the bridge's loop thread.
 * Memory    the slots of its flight, and one batch of records read ahead (BATCH_BYTES, but at least a few records).
 *
 * A drain has several lanes, most of them over the same records; whoever walks asks `wants` of each record whether it
 * belongs to this lane. flight.seen is how far it has walked.
 */
#ifndef BRIDGE_LANE_H
#define BRIDGE_LANE_H

#include "bridge/flight.h"
#include "store/store.h"

/* The store is read by all lanes but LANE_BACK, which reads what was put back (requeue.h). */
enum { LANE_BATCH = 500, LANE_BACK = 2, LANES_MAX = 3 };

struct lane_source {
	void *ctx;
	/* As store_read(); each lane reads by a reader of its own. */
	int (*read)(void *ctx, size_t lane, uint64_t after, struct store_record *out, size_t max);
};

struct lane {
	struct flight flight;
	const char *upstream; /* for the log */
	size_t number;
	struct store_record ahead[LANE_BATCH];
	size_t at, count, batch;
	int64_t read_again_ms; /* after a read that failed */
};

/* PASS: the record is not this lane's, or it was taken elsewhere. TAKE: it gets a slot. STOP: as PASS, and this walk
 * ends behind the record; WAIT: it ends before it. */
enum lane_answer { LANE_PASS, LANE_TAKE, LANE_STOP, LANE_WAIT };

struct lane_walk {
	const struct lane_source *source;
	void *ctx;
	enum lane_answer (*wants)(void *ctx, const struct store_record *rec, const struct bridge_rule **rule);
	uint64_t until; /* no further than this seq */
	int64_t now_ms;
	int reads;               /* at most, counted down */
	enum lane_answer answer; /* the last: STOP and WAIT end a walk */
};

int lane_init(struct lane *l, const char *upstream, size_t number, size_t slots, uint64_t cursor);
void lane_fini(struct lane *l); /* zeroed is fine */

/* The next record of this lane, as a slot of its flight, which is not full. NULL: there is none up to `until`, or
 * walk->reads ran out (it is 0 then), or the store could not be read. */
struct flight_slot *lane_fetch(struct lane *l, struct lane_walk *walk);

void lane_restart(struct lane *l, uint64_t seq); /* from behind seq; nothing of it is in flight */
void lane_reread(struct lane *l);             /* somebody else used its reader: what it read ahead is no longer valid */
void lane_jump(struct lane *l, uint64_t seq); /* everything up to seq is somebody else's; backwards is fine: no-op */

#endif
