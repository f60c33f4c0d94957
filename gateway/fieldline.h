/* SPDX-License-Identifier: MIT */
/* fieldline.h - one line as the gateway runs it: its feed into the route, its health, and what its points hold now.
 *
 * Owner     main thread makes and ends it; the sink runs on the line's thread. Main may look into the cells meanwhile.
 */
#ifndef GATEWAY_FIELDLINE_H
#define GATEWAY_FIELDLINE_H

#include "base/cell.h"
#include "base/clock.h"
#include "drivers/driver.h"
#include "gateway/feed.h"
#include "gateway/generation.h"
#include "gateway/route.h"
#include "gateway/share.h"

/* One point as it stands, for `weir status` and `weir points`. newest: NULL before the first sample. */
struct field_point {
	const char *line, *device, *point, *topic;
	struct msg *newest;
};

/* A point to be written: where it is, and what it holds (the caller's reference). */
struct field_target {
	struct line *line;
	size_t device; /* its place in the line's list */
	const struct point_opts *point;
	struct msg *newest; /* NULL before the first sample */
};

struct fieldline_point {
	char *topic;
	struct cell newest;
};

struct fieldline_device {
	const struct device_opts *opts;
	struct fieldline_point *points;
	struct msg *health; /* waits for the lane; the newest wins */
};

/* Owner: the line's thread, but for the cells and what does not change after field_apply(). */
struct fieldline {
	const struct line_opts *opts;
	struct generation *gen;
	struct line *line;
	struct feed *feed;   /* owned, unless it is an engine's */
	struct share *share; /* NULL: others may not ask its devices */
	const struct clock *clock;
	struct fieldline_device *devices;
	struct msg *port_health;
	struct cell port_reason; /* why the port is down, as the payload of a message; any thread looks */
	struct msg *held;        /* a sample that the lane has half-way: it is offered until it is taken */
	uint32_t id;
	char *fingerprint;
	struct fieldline *next;
};

/* What all lines share. */
struct fieldline_site {
	struct route *route;
	struct loop *loop; /* main's */
	const struct clock *clock;
	struct feed *engines; /* a feed each */
	struct share_sink shares;
};

/* Made and started. The failure is logged as well. */
int fieldline_new(struct fieldline **out, struct fieldline_site *site, uint32_t id, struct generation *gen,
	const struct line_opts *opts);
void fieldline_free(struct fieldline *fl); /* stops it; NULL is fine */

void fieldline_each_point(const struct fieldline *fl, void (*fn)(void *ctx, const struct field_point *p), void *ctx);
bool fieldline_find(struct fieldline *fl, const char *topic, size_t len, struct field_target *out);

#endif
