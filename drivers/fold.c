/* SPDX-License-Identifier: MIT */
#include "drivers/fold.h"

#include "drivers/decode.h"
#include "drivers/encode.h"

#include <math.h>

static int64_t number_of(const struct point_opts *p, int64_t wall_ms)
{
	return wall_ms / p->window_ms;
}

bool fold_ends(const struct fold *w, const struct point_opts *p, int64_t wall_ms)
{
	return w->count > 0 && w->number != number_of(p, wall_ms);
}

void fold_add(struct fold *w, const struct point_opts *p, const struct value *v, int64_t wall_ms)
{
	double n = v->kind == VALUE_TEXT ? 0 : encode_number(v);

	if (w->count++ == 0) {
		*w = (struct fold){.number = number_of(p, wall_ms), .count = 1, .first_ms = wall_ms};
		if (v->kind != VALUE_TEXT)
			w->min = w->max = w->first = *v;
	}
	w->last_ms = wall_ms;
	if (v->kind == VALUE_TEXT) /* its bytes are not ours to keep; they can be counted */
		return;
	w->sum += n;
	w->last = *v;
	if (n < encode_number(&w->min))
		w->min = *v;
	if (n > encode_number(&w->max))
		w->max = *v;
}

struct value fold_value(const struct fold *w, const struct point_opts *p)
{
	double mean = w->sum / (double)w->count;

	switch (p->aggregate) {
	case AGGREGATE_MIN: return w->min;
	case AGGREGATE_MAX: return w->max;
	case AGGREGATE_FIRST: return w->first;
	case AGGREGATE_LAST: return w->last;
	case AGGREGATE_COUNT: return (struct value){.kind = VALUE_UINT, .u = w->count};
	default: break;
	}
	/* A sum may be past what a double holds although no reading is. */
	if (!isfinite(mean))
		return w->last;
	return (struct value){.kind = VALUE_REAL, .r = decode_round(p, mean)};
}
