/* SPDX-License-Identifier: MIT */
/* retain.h - the last retained message of each topic.
 *
 * Owner     broker thread.
 * Memory    one reference per message, at most max_count messages of max_bytes in all, with the tree nodes
 *           of deep topics.
 * Outcomes  RETAIN_FULL: a new topic would pass a bound. `$SYS/` does not count: it is ours, and few.
 * Time      passed in; expired messages are not handed out, and go when they are met or swept.
 */
#ifndef BROKER_RETAIN_H
#define BROKER_RETAIN_H

#include "base/cursor.h"
#include "base/msg.h"
#include "broker/tree.h"

/* A walk through what matches a filter. It may stop anywhere and go on later, whatever was retained or cleared meanwhile:
 * the node that it stands on stays. What is retained while it goes may be found, or not. */
struct retain_walk {
	uint32_t node; /* 0: it is at its end */
	struct retain_walk *next, **pprev;
};

struct retain {
	struct tree tree;
	struct retain_walk *walks; /* those that have stopped */
	struct msg **all;          /* by number; a free one holds the next free number */
	uint32_t used, cap, spare, sweep_at;
	uint32_t count, ours, max_count; /* ours: those under $SYS/ */
	uint64_t bytes, max_bytes;
	/* NULL: nobody asked. The message at this place is m from now on, or NULL: none. late: see retain_set(). */
	void (*changed)(void *ctx, uint32_t place, struct msg *m, bool late);
	void *ctx;
};

int retain_init(struct retain *r, struct levels *levels, uint32_t max_count, uint64_t max_bytes);
void retain_fini(struct retain *r);
void retain_limit(struct retain *r, uint32_t max_count, uint64_t max_bytes); /* for what comes from now on */

enum { RETAIN_FULL = 1 };
/* Its own reference; an empty payload clears [MQTT-3.3.1-6]. late: it need not be durable at once. */
int retain_set(struct retain *r, struct msg *m, bool late);
struct msg *retain_at(const struct retain *r, uint32_t place);                /* borrowed; NULL: nothing there */
uint32_t retain_place(const struct retain *r, const char *topic, size_t len); /* 0: nothing there */
/* Would a message of so many bytes (msg_bytes) on this topic be kept? */
bool retain_fits(const struct retain *r, const char *topic, size_t len, size_t bytes);
struct msg *retain_get(const struct retain *r, const char *topic, size_t len, int64_t now_ms); /* borrowed */

typedef void retain_fn(void *ctx, struct msg *m); /* which neither keeps nor clears any */
void retain_walk_begin(struct retain_walk *w);
/* Looks at so many places, at most; how many it were. The filter is the same each time. */
size_t retain_walk_on(struct retain *r, struct retain_walk *w, struct span filter, int64_t now_ms, size_t places,
	retain_fn *fn, void *ctx);
void retain_walk_end(struct retain *r, struct retain_walk *w); /* before its end; at its end is fine */
void retain_walk_move(struct retain *r, struct retain_walk *to, struct retain_walk *from); /* it goes on as `to` */
void retain_sweep(struct retain *r, int64_t now_ms, uint32_t steps); /* looks at the next few, drops the expired */

#endif
