/* SPDX-License-Identifier: MIT */
/* driver.h - what a driver is, and what a line tells the gateway.
 *
 * The thread of a line owns its port, the poll schedule and the health of its devices; lines over TCP share one. A driver
 * is a row in drivers/registry.c: a copy of drivers/sim.c is the start of a new one.
 */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include "base/clock.h"
#include "config/key.h"
#include "drivers/fold.h"
#include "drivers/value.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct line;
struct line_opts; /* drivers/opts.h: a line with its devices and their points, as configured */
struct device_opts;
struct point_opts;

/* A sample: what one point was at one moment. Valid during the call only. */
struct sample {
	const struct line_opts *line;
	const struct device_opts *device;
	const struct point_opts *point;
	struct value value;
	enum quality quality;
	const char *reason;   /* why it is bad: "timeout", "exception 2", "crc", "range", "sensor"; NULL when good */
	int64_t wall_ms;      /* the middle of the reply */
	int64_t last_good_ms; /* wall; 0: never */
	const struct fold *window; /* the readings that value stands for; NULL: it is one */
};

enum device_state { DEVICE_UNKNOWN, DEVICE_UP, DEVICE_RETRYING, DEVICE_OFFLINE, DEVICE_PROBING };
const char *device_state_name(enum device_state s); /* "up" */

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

/* Counted since the line was made. */
enum line_counter {
	COUNT_REQUESTS,
	COUNT_REPLIES,
	COUNT_TIMEOUTS,
	COUNT_EXCEPTIONS,
	COUNT_GARBLED, /* replies that could not be believed: CRC, cut short, noise */
	COUNT_CRC,     /* of these: by their checksum */
	COUNT_FOREIGN, /* replies of others */
	COUNT_LATE,    /* replies to a request that had been given up */
	COUNT_NOISE,   /* bytes nobody had asked for */
	COUNT_CODES,   /* exceptions by code, up to 11; those of other codes come first */
	LINE_COUNTERS = COUNT_CODES + 12,
};

struct line_stats {
	bool up; /* the port */
	uint64_t count[LINE_COUNTERS];
	uint64_t samples, busy_waits; /* told; and how often the sink could not take one at once */
	int64_t median_us, p99_us;    /* of what its devices take to answer, lately; -1: not measured */
	unsigned busy_permille;       /* of the time the line is in use, lately */
	unsigned rate_permille;       /* of the wanted rate that it achieves, lately; 1000: all of it */
};

struct line_device_stats {
	enum device_state state;
	uint64_t count[LINE_COUNTERS];
	int64_t turnaround_us; /* smoothed; -1: not measured */
	int64_t median_us, p99_us;
	int64_t every_us, comes_us; /* of its quickest values: as wanted, and as they came lately; 0: not known yet */
	unsigned grade_permille;    /* how sound the wire to it is; 1000: nothing was wrong lately (drivers/grade.h) */
	const char *reason;         /* of its last failure; static text; NULL: none yet */
	int64_t answered_ms;        /* wall; its last answer; 0: never */
};

/* opts must outlive the line; the sink is copied. */
int line_new(struct line **out, const struct line_opts *opts, const struct line_sink *sink, const struct clock *clock);
/* A port that is not there yet is waited for, not an error. In a thread of its own; or on one that it shares, which
 * fits connections (drivers/engine.h). */
int line_start(struct line *l);
int line_start_on(struct line *l, struct engine *e);
void line_ask_stop(struct line *l); /* any thread; does not wait */
void line_stop(struct line *l);     /* any thread; joins */
void line_free(struct line *l);     /* NULL is fine */

/* Any thread. device: its place in the line's list. */
void line_stats(const struct line *l, struct line_stats *out);
/* What passed on the wire lately: notes of enum line_note with a time in microseconds, monotonic; see tape_read(). */
enum line_note { LINE_SENT, LINE_HEARD, LINE_NOISE, LINE_FAULT /* the reason, as text */ };
struct tape_note;
size_t line_trace(const struct line *l, uint64_t after, struct tape_note *out, size_t max);

void line_device_stats(const struct line *l, size_t device, struct line_device_stats *out);

#endif
