/* SPDX-License-Identifier: MIT */
/* blocks.h - the points of a Modbus line as blocks to be read: what plan.h makes of them.
 *
 * Memory    made when the line is made, or planned anew; points of a block are in the order of their addresses.
 */
#ifndef DRIVERS_BLOCKS_H
#define DRIVERS_BLOCKS_H

#include "drivers/learned.h"
#include "drivers/opts.h"
#include "drivers/plan.h"

enum { BLOCKS_GUESS_US = 5000 }; /* turnaround of a device that was not measured yet */

struct block {
	size_t device; /* place in the line's list */
	enum point_source source;
	uint16_t first, count;
	int64_t every_ms;
	const struct point_opts **points; /* owned */
	size_t point_count;
	unsigned put_off; /* times in a row that the device was busy with something else */
};

struct blocks {
	struct block *list;
	size_t count, cap;
};

void blocks_fini(struct blocks *b);
/* Adds the blocks of one device. known: what it taught; NULL: nothing. 0 or -ENOMEM. */
int blocks_plan(
	struct blocks *b, const struct line_opts *l, size_t device, int64_t turnaround_us, const struct learned *known);
/* What reading all blocks of a device once takes. */
double blocks_span_us(const struct blocks *b, const struct line_opts *l, size_t device, int64_t turnaround_us);
/* Do both hold the same blocks of a device? */
bool blocks_same(const struct blocks *a, const struct blocks *b, size_t device);
/* Those of fresh take the place of the device's, at the end of the list; fresh is empty then. 0 or -ENOMEM. */
int blocks_replace(struct blocks *b, size_t device, struct blocks *fresh);
/* The device refused the block at this place: it becomes two, cut at its widest hole, or else in the middle, or where
 * values overlap that may be refused together only; the second is the last of the list. BLOCKS_WHOLE: it is one value,
 * there is nothing to cut. */
enum { BLOCKS_WHOLE = 1 };
int blocks_split(struct blocks *b, size_t at);
const struct block *blocks_first_of(const struct blocks *b, size_t device); /* NULL: nothing to read */

/* What a request of this line costs; see plan.h. */
struct plan_cost blocks_cost(const struct line_opts *l, enum point_source source, int64_t turnaround_us);

#endif
