/* SPDX-License-Identifier: MIT */
/* rig.h - a real line with one device of a few points, and what it told.
 *
 * rig_init() fills in options that suit most tests; a test changes what it is about, then calls rig_run().
 */
#ifndef TESTS_DRIVERS_RIG_H
#define TESTS_DRIVERS_RIG_H

#include "drivers/driver.h"
#include "drivers/errand.h"
#include "drivers/opts.h"

#include <stdatomic.h>

enum { RIG_POINTS = 8 };

struct rig {
	struct point_opts points[RIG_POINTS];
	struct device_opts device;
	const struct device_opts *list[1];
	struct line_opts opts;
	struct line *line;

	_Atomic int busy; /* so many samples are not taken when they are first told */
	_Atomic unsigned good, bad, late;
	_Atomic bool port_up;
	_Atomic int state; /* of the device */
	_Atomic int64_t values[RIG_POINTS];
	char reason[RIG_POINTS][32]; /* why it is bad; written by the line's thread before bad goes up */

	/* On the line's thread, of each sample that was taken; NULL: nothing more. */
	void (*look)(struct rig *r, const struct sample *s);
	void *ctx;
};

/* Registers 40, 41, ... of unit 1, as many as points, each 5 ms; the second may be written. */
void rig_init(struct rig *r, enum line_driver driver, const char *port, size_t points); /* over TCP: its address */
void rig_run(struct rig *r);
void rig_stop(struct rig *r); /* what it counted stays */

/* Runs an errand to its end. */
void rig_errand(struct rig *r, struct errand *e);
/* A write of the point; and a value for it. */
struct errand rig_write(const struct rig *r, size_t point, struct value v);
struct value rig_int(int64_t i);
struct value rig_text(const char *text);

#endif
