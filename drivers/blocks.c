/* SPDX-License-Identifier: MIT */
#include "drivers/blocks.h"

#include "drivers/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of Modbus ASCII in pairs: a byte is two characters, and colon, CR and LF are three more. */
enum { REQUEST_CHARS = 8, REPLY_CHARS = 5, ASCII_REQUEST_PAIRS = 9, ASCII_REPLY_PAIRS = 6 };

/* What one register costs on a network, whose price is the round trip. */
static const double tcp_char_us = 0.1;

void blocks_fini(struct blocks *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->list[i].points);
	free(b->list);
	*b = (struct blocks){0};
}

struct plan_cost blocks_cost(const struct line_opts *l, enum point_source source, int64_t turnaround_us)
{
	bool ascii = l->driver == DRIVER_MODBUS_ASCII;
	double char_us = wire_char_us(l) * (ascii ? 2 : 1);

	return (struct plan_cost){.char_us = char_us > 0 ? char_us : tcp_char_us,
		.silence_us = (double)wire_silence_us(l),
		.turnaround_us = (double)turnaround_us,
		.request_chars = ascii ? ASCII_REQUEST_PAIRS : REQUEST_CHARS,
		.reply_chars = ascii ? ASCII_REPLY_PAIRS : REPLY_CHARS,
		.bits = source == SOURCE_COIL || source == SOURCE_DISCRETE};
}

/* Groups that can share a request: table and rate; within a group by address, and what lies within another behind it. */
static int by_group(const void *a, const void *b)
{
	const struct point_opts *p = *(const struct point_opts *const *)a, *q = *(const struct point_opts *const *)b;

	if (p->source != q->source)
		return p->source < q->source ? -1 : 1;
	if (p->every_ms != q->every_ms)
		return p->every_ms < q->every_ms ? -1 : 1;
	if (p->address != q->address)
		return p->address < q->address ? -1 : 1;
	return (int)point_words(q) - (int)point_words(p);
}

static int add(struct blocks *b, struct block block)
{
	if (b->count == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 16;
		struct block *list = reallocarray(b->list, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		b->list = list;
		b->cap = cap;
	}
	b->list[b->count++] = block;
	return 0;
}

/* What plan_make() works on, for n points of one group. */
struct work {
	struct plan_span *values;
	struct plan_block *found;
	const struct learned *known;
	struct plan_span *avoid;
	size_t avoid_count;
	uint32_t edges[LEARNED_LESSONS];
	size_t edge_count;
	unsigned most;
};

static void collect_avoid(struct work *w, const struct device_opts *d, enum point_source source)
{
	w->avoid_count = 0;
	for (size_t i = 0; i < d->no_read.count; i++) {
		enum point_source table;
		uint16_t first, last;

		if (range_parse(((const char *const *)d->no_read.items)[i], &table, &first, &last) && table == source)
			w->avoid[w->avoid_count++] = (struct plan_span){first, last};
	}
}

static void collect_lessons(struct work *w, enum point_source source)
{
	w->edge_count = 0;
	for (size_t i = 0; w->known && i < w->known->count; i++) {
		const struct lesson *l = &w->known->lessons[i];

		if (l->source != source || !lesson_counts(l))
			continue;
		if (l->kind == LESSON_SPAN)
			w->avoid[w->avoid_count++] = (struct plan_span){l->first, l->last};
		else if (l->kind == LESSON_EDGE)
			w->edges[w->edge_count++] = l->first;
		else if (l->last < w->most)
			w->most = l->last;
	}
}

static int add_block(struct blocks *b, size_t device, const struct plan_block *found, const struct point_opts **points)
{
	size_t n = found->to - found->from;
	struct block block = {.device = device,
		.source = points[found->from]->source,
		.first = (uint16_t)found->first,
		.count = (uint16_t)found->count,
		.every_ms = points[found->from]->every_ms,
		.points = calloc(n, sizeof(*block.points)),
		.point_count = n};
	int r;

	if (!block.points)
		return -ENOMEM;
	memcpy(block.points, points + found->from, n * sizeof(*points));
	r = add(b, block);
	if (r < 0)
		free(block.points);
	return r;
}

static int plan_group(struct blocks *b, const struct line_opts *l, size_t device, const struct point_opts **points,
	size_t n, int64_t turnaround_us, struct work *w)
{
	const struct device_opts *d = l->devices[device];
	struct plan_cost cost = blocks_cost(l, points[0]->source, turnaround_us);
	struct plan_limits limits = {.max_hole = d->max_hole, .max_block_us = 1000.0 * (double)d->max_block_ms};
	int found, r = 0;

	for (size_t i = 0; i < n; i++)
		w->values[i] = (struct plan_span){points[i]->address, points[i]->address + point_words(points[i]) - 1};
	collect_avoid(w, d, points[0]->source);
	w->most = (unsigned)(cost.bits ? d->max_bits : d->max_registers);
	collect_lessons(w, points[0]->source);
	limits.max_count = w->most;
	limits.avoid = w->avoid;
	limits.avoid_count = w->avoid_count;
	limits.edges = w->edges;
	limits.edge_count = w->edge_count;
	found = plan_make(w->values, n, &cost, &limits, w->found);
	for (int i = 0; i < found && r == 0; i++)
		r = add_block(b, device, &w->found[i], points);
	return found < 0 ? found : r;
}

static int plan_sorted(struct blocks *b, const struct line_opts *l, size_t device, const struct point_opts **points,
	size_t n, int64_t turnaround_us, const struct learned *known)
{
	struct work w = {.known = known,
		.values = calloc(n, sizeof(*w.values)),
		.found = calloc(n, sizeof(*w.found)),
		.avoid = calloc(l->devices[device]->no_read.count + LEARNED_LESSONS, sizeof(*w.avoid))};
	int r = w.values && w.found && w.avoid ? 0 : -ENOMEM;

	for (size_t from = 0, to; r == 0 && from < n; from = to) {
		to = from + 1;
		while (to < n && points[to]->source == points[from]->source &&
			points[to]->every_ms == points[from]->every_ms)
			to++;
		r = plan_group(b, l, device, points + from, to - from, turnaround_us, &w);
	}
	free(w.values);
	free(w.found);
	free(w.avoid);
	return r;
}

int blocks_plan(
	struct blocks *b, const struct line_opts *l, size_t device, int64_t turnaround_us, const struct learned *known)
{
	const struct device_opts *d = l->devices[device];
	const struct point_opts *all = d->points.items;
	const struct point_opts **points;
	int r;

	/* Nobody answers a broadcast. */
	if (d->points.count == 0 || (d->unit == 0 && line_is_bus(l)))
		return 0;
	points = calloc(d->points.count, sizeof(*points));
	if (!points)
		return -ENOMEM;
	for (size_t i = 0; i < d->points.count; i++)
		points[i] = &all[i];
	qsort(points, d->points.count, sizeof(*points), by_group);
	r = plan_sorted(b, l, device, points, d->points.count, turnaround_us, known);
	free(points);
	return r;
}

/* The last address of the first n points. */
static uint32_t last_of(const struct block *b, size_t n)
{
	uint32_t last = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t end = b->points[i]->address + point_words(b->points[i]) - 1;

		last = end > last ? end : last;
	}
	return last;
}

/* Values that overlap are read apart, what they share twice: where the values before it end sooner than the block and
 * those from it on begin later. 0: there is no such place. */
static size_t choose_overlap(const struct block *b)
{
	uint32_t end = b->first + b->count - 1u;
	size_t best = 0, middle = b->point_count / 2;

	for (size_t n = 1; n < b->point_count; n++)
		if (last_of(b, n) < end && b->points[n]->address > b->first &&
			(best == 0 || llabs((int64_t)n - (int64_t)middle) < llabs((int64_t)best - (int64_t)middle)))
			best = n;
	return best;
}

/* How many points stay in the first part; 0: one value takes all of it. */
static size_t choose_cut(const struct block *b)
{
	size_t best = 0, middle = b->point_count / 2;
	int64_t widest = -1;

	for (size_t n = 1; n < b->point_count; n++) {
		int64_t hole = (int64_t)b->points[n]->address - (int64_t)last_of(b, n) - 1;
		bool nearer = llabs((int64_t)n - (int64_t)middle) < llabs((int64_t)best - (int64_t)middle);

		if (hole < 0)
			continue; /* they overlap */
		if (hole > widest || (hole == widest && nearer)) {
			widest = hole;
			best = n;
		}
	}
	return best ? best : choose_overlap(b);
}

int blocks_split(struct blocks *b, size_t at)
{
	struct block *old = &b->list[at];
	size_t keep = choose_cut(old);
	struct plan_block rest = {.from = keep, .to = old->point_count};
	int r;

	if (keep == 0)
		return BLOCKS_WHOLE;
	rest.first = old->points[keep]->address;
	rest.count = last_of(old, old->point_count) - rest.first + 1;
	r = add_block(b, old->device, &rest, old->points);
	if (r < 0)
		return r;
	old = &b->list[at]; /* the list may have moved */
	old->count = (uint16_t)(last_of(old, keep) - old->first + 1);
	old->point_count = keep;
	return 0;
}

const struct block *blocks_first_of(const struct blocks *b, size_t device)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->list[i].device == device)
			return &b->list[i];
	return NULL;
}

double blocks_span_us(const struct blocks *b, const struct line_opts *l, size_t device, int64_t turnaround_us)
{
	double us = 0;

	for (size_t i = 0; i < b->count; i++)
		if (b->list[i].device == device) {
			struct plan_cost cost = blocks_cost(l, b->list[i].source, turnaround_us);

			us += plan_block_us(&cost, b->list[i].count);
		}
	return us;
}

static size_t count_of(const struct blocks *b, size_t device)
{
	size_t n = 0;

	for (size_t i = 0; i < b->count; i++)
		n += b->list[i].device == device;
	return n;
}

static bool holds(const struct blocks *b, const struct block *like)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct block *k = &b->list[i];

		if (k->device == like->device && k->source == like->source && k->first == like->first &&
			k->count == like->count && k->every_ms == like->every_ms)
			return true;
	}
	return false;
}

bool blocks_same(const struct blocks *a, const struct blocks *b, size_t device)
{
	if (count_of(a, device) != count_of(b, device))
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->list[i].device == device && !holds(b, &a->list[i]))
			return false;
	return true;
}

int blocks_replace(struct blocks *b, size_t device, struct blocks *fresh)
{
	size_t keep = b->count - count_of(b, device), at = 0;
	struct block *list = calloc(keep + fresh->count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < b->count; i++)
		if (b->list[i].device == device)
			free(b->list[i].points);
		else
			list[at++] = b->list[i];
	if (fresh->count > 0)
		memcpy(list + at, fresh->list, fresh->count * sizeof(*list));
	free(b->list);
	*b = (struct blocks){list, keep + fresh->count, keep + fresh->count + 1};
	free(fresh->list);
	*fresh = (struct blocks){0};
	return 0;
}
