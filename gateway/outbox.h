/* SPDX-License-Identifier: MIT */
/* outbox.h - messages of main itself on their way to its lane.
 *
 * Owner     main thread and its loop.
 * Bounds    OUTBOX_MAX messages; a state that a newer one of the same topic follows is replaced by it. When even that
 *           is full the oldest goes (DROP_OLDEST) and dropped counts it: these are health and events, never readings.
 */
#ifndef GATEWAY_OUTBOX_H
#define GATEWAY_OUTBOX_H

#include "base/loop.h"
#include "gateway/route.h"

enum { OUTBOX_MAX = 64 };

struct outbox {
	struct loop *loop;
	struct lane *lane;
	struct loop_timer retry;
	struct msg *waiting[OUTBOX_MAX];
	size_t count;
	uint64_t dropped;
};

void outbox_init(struct outbox *o, struct loop *loop, struct lane *lane);
void outbox_fini(struct outbox *o);
void outbox_post_take(struct outbox *o, struct msg *m); /* NULL (no memory) is logged */
bool outbox_empty(const struct outbox *o);

/* What became of what was posted before outbox_mark(). */
struct outbox_mark {
	uint64_t dropped, ticket;
	bool left;
};
enum outbox_fate { OUTBOX_WAITS, OUTBOX_SAFE, OUTBOX_LOST };
struct outbox_mark outbox_mark(const struct outbox *o);
enum outbox_fate outbox_fate(struct outbox *o, struct outbox_mark *m); /* SAFE: no crash takes it back */

#endif
