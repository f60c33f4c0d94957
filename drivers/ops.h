/* SPDX-License-Identifier: MIT */
/* ops.h - what a driver implements, and what its line does for it.
 *
 * All of it runs on the line's thread. A driver turns the points of its line into jobs (a block of registers, a
 * question, a group of made-up values); the line decides when each runs. A job tells what it read through
 * line_answered() and line_good() / line_bad(), and returns how it went; the line does the rest: device states,
 * back-off, bad points, statistics.
 */
#ifndef DRIVERS_OPS_H
#define DRIVERS_OPS_H

#include "drivers/driver.h"
#include "drivers/errand.h"
#include "drivers/opts.h"
#include "drivers/schedule.h"
#include "drivers/wire.h"

enum outcome {
	OUTCOME_OK,
	OUTCOME_REFUSED, /* answered by an exception: the device is there */
	OUTCOME_SILENT,  /* no answer in time */
	OUTCOME_GARBLED, /* an answer that cannot be believed: CRC, cut short, noise */
	OUTCOME_GONE,    /* the port is gone */
	OUTCOME_STOPPED, /* the line is to stop */
};

/* --- what the line does for its driver --- */

/* Opens the line's port and sets up w on it; as: the line's options, or others for a while. While no job runs the port
 * is watched: input() is called, or it is taken for lost. */
int line_open_port(struct line *l, const struct line_opts *as, struct wire *w);
void line_close_port(struct line *l); /* closed already is fine */
/* How long to wait for this device to begin its reply; and for any device. */
int64_t line_timeout_us(const struct line *l, size_t device);

bool line_device_up(const struct line *l, size_t device);

/* The device has answered: it is up from now on. Comes before its values. turnaround_us < 0: not measured. */
void line_answered(struct line *l, size_t device, int64_t turnaround_us);
void line_good(struct line *l, size_t device, const struct point_opts *p, const struct value *v, int64_t at_us);
void line_bad(struct line *l, size_t device, const struct point_opts *p, const char *reason);
/* The job that runs is wanted again before its next turn: the device was busy. */
void line_ask_again(struct line *l);
/* It has answered something that was given up: it is there, and slower than was thought. */
void line_heard_late(struct line *l, size_t device);
void line_count(struct line *l, enum line_counter what, uint64_t n);
void line_count_device(struct line *l, size_t device, enum line_counter what, uint64_t n); /* and of its line */

/* --- what a driver is --- */

/* reason: why it is not OUTCOME_OK; static text. */
struct driver_ops {
	const char *name;
	/* Made once per line; jobs are added to s. */
	int (*make)(void **self, struct line *l, const struct line_opts *opts, const struct clock *clock,
		struct schedule *s);
	void (*free)(void *self); /* NULL is fine */
	/* The port: 0 or -errno, tried again later. NULL: there is none. */
	int (*open)(void *self);
	void (*close)(void *self);
	/* Between two turns: the only moment at which jobs may be taken away. NULL: there is nothing to see to. */
	void (*tend)(void *self);
	enum outcome (*run)(void *self, const struct job *j, const char **reason);
	/* The cheapest question that shows whether the device is there. NULL: devices are never offline. */
	enum outcome (*probe)(void *self, size_t device, const char **reason);
	/* Bytes wait at the watched descriptor, or the connection has ended: OUTCOME_GONE when it is not to be had again.
	 * NULL: nothing is watched. */
	enum outcome (*input)(void *self);
	/* Writes a point (the value was checked) and reads it back into e->back; reads registers into e->regs. OUTCOME_OK
	 * with e->has_back unset: there is nothing to read back. NULL: no such thing. */
	enum outcome (*write)(void *self, struct errand *e, const char **reason);
	enum outcome (*read)(void *self, struct errand *e, const char **reason);
};

extern const struct driver_ops *const registry[DRIVER_COUNT]; /* by enum line_driver */
extern const struct driver_ops modbus_ops, serial_ops, sim_ops;

#endif
