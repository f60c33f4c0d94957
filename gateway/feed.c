/* SPDX-License-Identifier: MIT */
#include "gateway/feed.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct feed {
	struct lane *lane;
	struct msg *stuck; /* what the lane has half-way */
	struct engine *engine;
	struct feed *next;
};

int feed_new(struct feed **out, struct route *route)
{
	struct feed *f = calloc(1, sizeof(*f));
	int r = f ? lane_new(&f->lane, route) : -ENOMEM;

	if (r < 0) {
		free(f);
		return r;
	}
	*out = f;
	return 0;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	engine_free(f->engine);
	lane_free(f->lane);
	msg_unref(f->stuck);
	free(f);
}

int feed_of_engine(struct feed **out, struct feed **list, struct route *route, const struct clock *clock)
{
	struct feed *f = *list;
	int r = 0;

	while (f && engine_full(f->engine))
		f = f->next;
	if (!f) {
		r = feed_new(&f, route);
		if (r == 0)
			r = engine_new(&f->engine, clock);
		if (r < 0) {
			feed_free(f);
			return r;
		}
		f->next = *list;
		*list = f;
	}
	*out = f;
	return 0;
}

void feed_free_list(struct feed **list)
{
	while (*list) {
		struct feed *f = *list;

		*list = f->next;
		feed_free(f);
	}
}

struct engine *feed_engine(const struct feed *f)
{
	return f->engine;
}

int feed_publish(struct feed *f, struct msg *m)
{
	return lane_publish(f->lane, m);
}

/* What the lane took half-way is the feed's from then on: its line may be gone before the rest of the way is free. */
static bool flush_one(struct feed *f, struct msg **slot)
{
	int r;

	if (!*slot)
		return true;
	r = lane_publish(f->lane, *slot);
	if (r == ROUTE_BUSY) {
		if (slot != &f->stuck) {
			f->stuck = *slot;
			*slot = NULL;
		}
		return false;
	}
	if (r < 0)
		log_error("topic=%s error=\"%s\"; it is not published", msg_topic(*slot), strerror(-r));
	msg_unref(*slot);
	*slot = NULL;
	return true;
}

bool feed_flush(struct feed *f, struct msg **slot)
{
	return flush_one(f, &f->stuck) && (!slot || flush_one(f, slot));
}
