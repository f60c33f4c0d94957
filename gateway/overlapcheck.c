/* SPDX-License-Identifier: MIT */
#include "gateway/overlapcheck.h"

#include "drivers/opts.h"

#include <errno.h>
#include <stdlib.h>

/* One field of bits more in a register of others says nothing. */
static bool counts(const struct point_opts *p)
{
	return !p->head.wrong && p->width == 0 && (p->source == SOURCE_HOLDING || p->source == SOURCE_INPUT);
}

static int by_place(const void *a, const void *b)
{
	const struct point_opts *x = *(const struct point_opts *const *)a, *y = *(const struct point_opts *const *)b;

	return x->source != y->source ? (x->source > y->source) - (x->source < y->source) : x->address - y->address;
}

static unsigned end_of(const struct point_opts *p)
{
	return p->address + point_words(p);
}

static void advise(const struct point_opts *p, const struct point_opts *around, struct key_report *report)
{
	key_advice(report, p, NULL,
		"%s %u is within `%s`, which takes %u-%u as a %s; is one of the two addresses another?",
		source_name(p->source), p->address, around->head.name, around->address, end_of(around) - 1,
		type_name((enum point_type)around->type));
}

int overlapcheck(const struct device_opts *d, struct arena *a, struct key_report *report)
{
	const struct point_opts *points = d->points.items,
				**sorted = arena_alloc(a, (d->points.count + 1) * sizeof(*sorted));
	const struct point_opts *reach = NULL; /* of those so far, the one that goes furthest */
	size_t n = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < d->points.count; i++)
		if (counts(&points[i]))
			sorted[n++] = &points[i];
	qsort(sorted, n, sizeof(*sorted), by_place);
	for (size_t i = 0; i < n; i++) {
		const struct point_opts *p = sorted[i];

		if (reach && reach->source == p->source && p->address > reach->address && p->address < end_of(reach))
			advise(p, reach, report);
		if (!reach || reach->source != p->source || end_of(p) > end_of(reach))
			reach = p;
	}
	return 0;
}
