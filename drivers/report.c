/* SPDX-License-Identifier: MIT */
#include "drivers/report.h"

#include "base/hash.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int report_init(struct report_state *s, const struct point_opts *p)
{
	*s = (struct report_state){.told = false};
	if (p->aggregate == AGGREGATE_NONE)
		return 0;
	s->window = calloc(1, sizeof(*s->window));
	return s->window ? 0 : -ENOMEM;
}

void report_fini(struct report_state *s)
{
	free(s->window);
	s->window = NULL;
}

static double number(const struct value *v)
{
	switch (v->kind) {
	case VALUE_BOOL: return v->b;
	case VALUE_INT: return (double)v->i;
	case VALUE_UINT: return (double)v->u;
	case VALUE_REAL: return v->r;
	default: return 0;
	}
}

/* Without a deadband any difference counts, to the last bit of a 64-bit integer. */
static bool differs(const struct point_opts *p, const struct value *last, const struct value *v)
{
	double limit = p->deadband;

	if (last->kind != v->kind)
		return true;
	if (v->kind == VALUE_TEXT)
		return last->u != hash_on(HASH_BEGIN, v->text.at, v->text.len);
	if (limit > 0) {
		if (p->deadband_percent)
			limit = fabs(number(last)) * limit / 100;
		return fabs(number(v) - number(last)) > limit;
	}
	switch (v->kind) {
	case VALUE_BOOL: return v->b != last->b;
	case VALUE_INT: return v->i != last->i;
	case VALUE_UINT: return v->u != last->u;
	default: return v->r < last->r || v->r > last->r;
	}
}

bool report_good(struct report_state *s, const struct point_opts *p, const struct value *v, bool late, int64_t now_ms)
{
	bool told = !s->told || s->bad || s->late != late || p->report == REPORT_EVERY || differs(p, &s->last, v) ||
		    (p->max_age_ms > 0 && now_ms - s->told_ms >= p->max_age_ms);

	if (!told)
		return false;
	s->told = true;
	s->bad = false;
	s->late = late;
	s->told_ms = now_ms;
	s->last = *v;
	if (v->kind == VALUE_TEXT)
		s->last = (struct value){.kind = VALUE_TEXT, .u = hash_on(HASH_BEGIN, v->text.at, v->text.len)};
	return true;
}

bool report_bad(struct report_state *s)
{
	if (s->bad)
		return false;
	s->told = true;
	s->bad = true;
	return true;
}
