/* SPDX-License-Identifier: MIT */
/* feed.h - the way into the route for one thread of the field: of a line that has its own, or of all lines of an engine.
 *
 * Owner     feed_publish() and feed_flush(): that thread. All else: main, while no line uses it.
 * Order     what the lane has half-way goes on before anything else of any line; a sample is offered until it is taken,
 *           and its line lets no other of the same thread come between.
 */
#ifndef GATEWAY_FEED_H
#define GATEWAY_FEED_H

#include "base/clock.h"
#include "drivers/engine.h"
#include "gateway/route.h"

struct feed;

int feed_new(struct feed **out, struct route *route); /* of one line */
void feed_free(struct feed *f);                       /* NULL is fine */

/* One of an engine with room for a line more, out of the list or put into it. */
int feed_of_engine(struct feed **out, struct feed **list, struct route *route, const struct clock *clock);
void feed_free_list(struct feed **list);
struct engine *feed_engine(const struct feed *f); /* NULL: of one line */

int feed_publish(struct feed *f, struct msg *m); /* as lane_publish() */
/* What waits in slot goes out, and slot is NULL then; slot NULL: what the lane has half-way. False: not now. */
bool feed_flush(struct feed *f, struct msg **slot);

#endif
