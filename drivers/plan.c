/* SPDX-License-Identifier: MIT */
#include "drivers/plan.h"

#include <errno.h>
#include <stdlib.h>

double plan_block_us(const struct plan_cost *cost, uint32_t count)
{
	uint32_t data = cost->bits ? (count + 7) / 8 : 2 * count;

	return cost->char_us * (cost->request_chars + cost->reply_chars + data) + 2 * cost->silence_us +
	       cost->turnaround_us;
}

/* The best way to read the first n values: its cost, and where its last block begins. */
struct best {
	double us;
	size_t from;
};

struct search {
	const struct plan_span *values;
	const struct plan_cost *cost;
	const struct plan_limits *limits;
	uint32_t longest; /* value */
	struct best *best;
};

/* A block of several values. */
struct hull {
	uint32_t first, last;
	bool closed; /* holds what must not be read along, or an edge: as it grows, it does so for good */
};

static bool is_closed(const struct plan_limits *limits, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < limits->avoid_count; i++)
		if (limits->avoid[i].first <= last && limits->avoid[i].last >= first)
			return true;
	for (size_t i = 0; i < limits->edge_count; i++)
		if (first < limits->edges[i] && limits->edges[i] <= last)
			return true;
	return false;
}

static uint32_t count_of(const struct hull *h)
{
	return h->last - h->first + 1;
}

/* What lies within one value comes along with it, however that has to be read. */
static bool is_allowed(const struct search *s, const struct hull *h, const struct plan_span *value)
{
	if (value->last == h->last)
		return true;
	return !h->closed && count_of(h) <= s->limits->max_count &&
	       (s->limits->max_block_us <= 0 || plan_block_us(s->cost, count_of(h)) <= s->limits->max_block_us);
}

/* So long that only a value by itself could be as long: nothing that begins sooner comes into question. */
static bool is_over(const struct search *s, const struct hull *h)
{
	return count_of(h) > s->limits->max_count && count_of(h) > s->longest;
}

/* The dearest thing that can happen is one block per value, so every prefix has a plan. This walks back over possible
 * begins of the block that ends with value i, up to one that is apart from the next by more than may be read along; gap
 * is the number of unused addresses before value i + 1. */
static void search_back(struct search *s, size_t i, const int64_t *gaps)
{
	struct hull h = {.first = s->values[i].first, .last = s->values[i].last};

	s->best[i + 1] = (struct best){-1, 0};
	for (size_t from = i + 1; from-- > 0;) {
		const struct plan_span *value = &s->values[from];
		double us;

		if (from < i && s->limits->max_hole >= 0 && gaps[from] > s->limits->max_hole)
			break;
		h.first = value->first;
		h.last = value->last > h.last ? value->last : h.last;
		if (is_over(s, &h))
			break;
		h.closed = h.closed || is_closed(s->limits, h.first, h.last);
		if (!is_allowed(s, &h, value))
			continue;
		us = s->best[from].us + plan_block_us(s->cost, count_of(&h));
		/* Among equals the longer block: fewer requests. */
		if (s->best[i + 1].us < 0 || us <= s->best[i + 1].us)
			s->best[i + 1] = (struct best){us, from};
	}
}

static int search(struct search *s, size_t n)
{
	int64_t *gaps = calloc(n, sizeof(*gaps)), end = 0;

	if (!gaps)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint32_t count = s->values[i].last - s->values[i].first + 1;

		if (i > 0)
			gaps[i - 1] = (int64_t)s->values[i].first - end - 1;
		end = s->values[i].last > end ? s->values[i].last : end;
		s->longest = count > s->longest ? count : s->longest;
	}
	s->best[0] = (struct best){0, 0};
	for (size_t i = 0; i < n; i++)
		search_back(s, i, gaps);
	free(gaps);
	return 0;
}

int plan_make(const struct plan_span *values, size_t value_count, const struct plan_cost *cost,
	const struct plan_limits *limits, struct plan_block *blocks)
{
	struct best *best = calloc(value_count + 1, sizeof(*best));
	struct search s = {.values = values, .cost = cost, .limits = limits, .best = best};
	size_t count = 0;

	if (!best || search(&s, value_count) < 0) {
		free(best);
		return -ENOMEM;
	}
	for (size_t to = value_count; to > 0; to = best[to].from)
		count++;
	for (size_t to = value_count, at = count; to > 0; to = best[to].from) {
		size_t from = best[to].from;
		uint32_t last = 0;

		for (size_t i = from; i < to; i++)
			last = values[i].last > last ? values[i].last : last;
		blocks[--at] = (struct plan_block){values[from].first, last - values[from].first + 1, from, to};
	}
	free(best);
	return (int)count;
}
