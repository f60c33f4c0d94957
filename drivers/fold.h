/* SPDX-License-Identifier: MIT */
/* fold.h - one value for all readings of a stretch of time. Pure.
 *
 * Windows lie side by side on the wall clock: one of a minute goes from full minute to full minute. One ends with the
 * first reading behind it, or before that when the point goes bad, so a window holds good readings alone; it says how
 * many. When the clock is set, the reading after that begins a new one.
 */
#ifndef DRIVERS_FOLD_H
#define DRIVERS_FOLD_H

#include "drivers/opts.h"
#include "drivers/value.h"

struct fold {
	int64_t number; /* of the stretch since 1970 */
	uint64_t count; /* 0: nothing in it */
	double sum;
	struct value min, max, first, last;
	int64_t first_ms, last_ms; /* wall */
};

/* Does a reading of this moment belong to another window than what is held? Then it is to be told, and cleared. */
bool fold_ends(const struct fold *w, const struct point_opts *p, int64_t wall_ms);
void fold_add(struct fold *w, const struct point_opts *p, const struct value *v, int64_t wall_ms);
/* What it amounts to, as the point's `aggregate` says. count is above 0. */
struct value fold_value(const struct fold *w, const struct point_opts *p);

#endif
