/* SPDX-License-Identifier: MIT */
/* driver.h - what a driver is, and what a line tells the gateway.
 *
 * One thread per line owns the port, the poll schedule and the health of its devices. A driver is a row in
 * drivers/registry.c: a copy of drivers/sim.c is the start of a new one.
 */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include "base/clock.h"
#include "config/key.h"
#include "drivers/value.h"

#include <stdbool.h>
#include <stdint.h>

struct line;
struct line_opts;   /* drivers/opts.h: a line with its devices and their points, as configured */
struct device_opts;
struct point_opts;

/* A sample: what one point was at one moment. Valid during the call only. */
struct sample {
	const struct line_opts *line;
	const struct device_opts *device;
	const struct point_opts *point;
	struct value value;
	enum quality quality;
	const char *reason;     /* why it is bad: "timeout", "exception 2", "crc", "range", "sensor"; NULL when good */
	int64_t wall_ms;        /* the middle of the reply */
	int64_t last_good_ms;   /* wall; 0: never */
};

enum device_state { DEVICE_UNKNOWN, DEVICE_UP, DEVICE_RETRYING, DEVICE_OFFLINE, DEVICE_PROBING };

/* Called on the line's thread. sample() returns 0 when taken, LINE_BUSY when the store cannot take it now: the line
 * keeps the sample, stops polling, and tries again until it is taken. No sample is ever dropped silently. */
enum { LINE_BUSY = 1 };
struct line_sink {
	void *ctx;
	int (*sample)(void *ctx, const struct sample *s);
	void (*device)(void *ctx, const struct line_opts *l, const struct device_opts *d, enum device_state state,
		const char *reason);
	void (*port)(void *ctx, const struct line_opts *l, bool up, const char *reason);
};

int line_new(struct line **out, const struct line_opts *opts, const struct line_sink *sink, const struct clock *clock);
int line_start(struct line *l);  /* the thread; a port that is not there yet is waited for, not an error */
void line_stop(struct line *l);  /* any thread; joins */
void line_free(struct line *l);  /* NULL is fine */

#endif
