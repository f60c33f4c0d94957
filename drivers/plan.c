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

static bool is_avoided(const struct plan_limits *limits, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < limits->avoid_count; i++)
		if (limits->avoid[i].first <= last && limits->avoid[i].last >= first)
			return true;
	return false;
}

/* May [first, last], which is not part of any value, be read along? */
static bool may_bridge(const struct plan_limits *limits, uint32_t first, uint32_t last)
{
	return (limits->max_hole < 0 || last - first + 1 <= limits->max_hole) && !is_avoided(limits, first, last);
}

/* May a block hold both of these neighbours? */
static bool may_join(const struct plan_limits *limits, const struct plan_span *a, const struct plan_span *b)
{
	if (b->first <= a->last)
		return true;
	if (is_avoided(limits, a->first, a->last) || is_avoided(limits, b->first, b->last))
		return false;
	for (size_t i = 0; i < limits->edge_count; i++)
		if (a->first < limits->edges[i] && limits->edges[i] <= b->first)
			return false;
	return b->first == a->last + 1 || may_bridge(limits, a->last + 1, b->first - 1);
}

/* The best way to read the first n values: its cost, and where its last block begins. */
struct best {
	double us;
	size_t from;
};

/* The dearest thing that can happen is one block per value, so every prefix has a plan. The inner loop walks back
 * over possible begins of the block that ends with value i, and stops where no longer block can be allowed. */
static void search(const struct plan_span *values, size_t n, const struct plan_cost *cost,
	const struct plan_limits *limits, struct best *best)
{
	best[0] = (struct best){0, 0};
	for (size_t i = 0; i < n; i++) {
		uint32_t last = values[i].last;

		best[i + 1] = (struct best){-1, 0};
		for (size_t from = i + 1; from-- > 0;) {
			uint32_t count;
			double block_us, us;

			if (from < i) {
				if (values[from].last > last)
					last = values[from].last;
				if (!may_join(limits, &values[from], &values[from + 1]))
					break;
			}
			count = last - values[from].first + 1;
			block_us = plan_block_us(cost, count);
			if (from < i && (count > limits->max_count ||
						(limits->max_block_us > 0 && block_us > limits->max_block_us)))
				break;
			us = best[from].us + block_us;
			/* Among equals the longer block: fewer requests. */
			if (best[i + 1].us < 0 || us <= best[i + 1].us)
				best[i + 1] = (struct best){us, from};
		}
	}
}

int plan_make(const struct plan_span *values, size_t value_count, const struct plan_cost *cost,
	const struct plan_limits *limits, struct plan_block *blocks)
{
	struct best *best = calloc(value_count + 1, sizeof(*best));
	size_t count = 0;

	if (!best)
		return -ENOMEM;
	search(values, value_count, cost, limits, best);
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
