/* SPDX-License-Identifier: MIT */
/* learned.h - what a device teaches by refusing: what cannot be read along, and how much it answers at once; and by
 * answering: how long that takes. Pure.
 *
 * A block that is refused (exception 2 or 3) is cut in two, and cut again. When both halves of a cut are answered, the
 * reason lay between them: addresses that nobody wanted, or, where there are none, an edge that no read may cross
 * (exception 2) or a block that was too long (exception 3). What is refused alone is at fault itself. A device that
 * boots refuses as well, so a lesson counts when it was taught twice in a row, and a value that is answered after all
 * is taken back.
 *
 * Memory    bounded; a device with more lessons than that is read in smaller blocks, which are learned anew after each
 *           start.
 */
#ifndef DRIVERS_LEARNED_H
#define DRIVERS_LEARNED_H

#include "drivers/opts.h"

#include <stdio.h>

enum lesson_kind { LESSON_SPAN, LESSON_EDGE, LESSON_MOST, LESSON_KINDS };

struct lesson {
	enum lesson_kind kind;
	enum point_source source;
	uint16_t first, last; /* SPAN: not to be read along. EDGE: none across first - 1 | first. MOST: last, at once */
	unsigned taught;      /* times */
};

enum { LEARNED_LESSONS = 64, LEARNED_CUTS = 16, LEARNED_ENOUGH = 2 };

struct learned_cut {
	enum point_source source;
	uint16_t first, left_last, right_first, last;
	uint8_t exception;
	bool left_fine, right_fine;
};

struct learned {
	struct lesson lessons[LEARNED_LESSONS];
	size_t count;
	struct learned_cut cuts[LEARNED_CUTS]; /* of which the reason is not known yet; the oldest gives way */
	size_t cut_count;
	int64_t takes_us; /* a request of it, beside what the wire takes; 0: not known */
};

/* The block [first, last] was refused by this exception, and is read as [first, left_last] and [right_first, last]. */
void learned_cut(struct learned *l, const struct learned_cut *cut);
/* A block was answered; or a single value refused. True: a plan made anew is another one, or puts to the test what was
 * taught once. */
bool learned_answered(struct learned *l, enum point_source source, uint16_t first, uint16_t last);
bool learned_refused(struct learned *l, enum point_source source, uint16_t first, uint16_t last);

bool lesson_counts(const struct lesson *l);
int lesson_text(char *out, size_t cap, const struct lesson *l); /* "holding 41-43 cannot be read along" */

/* --- kept from one start to the next ---------------------------------------------------------------------------- */

/* Both keep what counts only. list: of count devices, by the names that the options have. */
int learned_write(FILE *out, const struct line_opts *l, const struct learned *list);
/* A line that is none, or of a device that is not there or has another unit now, is passed over; how many were. */
size_t learned_read(const char *text, size_t len, const struct line_opts *l, struct learned *list);

#endif
