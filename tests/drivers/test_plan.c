/* SPDX-License-Identifier: MIT */
#include "drivers/plan.h"

#include "tests/lib/test.h"

static const struct plan_cost wire_9600 = {
	.char_us = 1145.8, .silence_us = 4010, .turnaround_us = 0, .request_chars = 8, .reply_chars = 5};
static const struct plan_cost wire_115200 = {
	.char_us = 95.5, .silence_us = 1750, .turnaround_us = 5000, .request_chars = 8, .reply_chars = 5};
static const struct plan_limits modbus = {.max_count = 125, .max_hole = -1};

static bool block_allowed(const struct plan_span *values, size_t from, size_t to, const struct plan_limits *limits)
{
	uint32_t last = values[from].last;

	for (size_t i = from; i + 1 < to; i++) {
		uint32_t hole = values[i + 1].first - values[i].last - 1;

		if (hole > 0 && limits->max_hole >= 0 && hole > limits->max_hole)
			return false;
		/* Neither the hole nor one of the values beside it. */
		for (size_t k = 0; k < limits->avoid_count; k++)
			if (limits->avoid[k].first <= values[i + 1].last && limits->avoid[k].last >= values[i].first)
				return false;
		for (size_t k = 0; k < limits->edge_count; k++)
			if (limits->edges[k] > values[i].first && limits->edges[k] <= values[i + 1].last)
				return false;
	}
	last = values[to - 1].last;
	return last - values[from].first + 1 <= limits->max_count;
}

/* Every way to cut n values into blocks: 2^(n-1) of them. */
static double brute_force(
	const struct plan_span *values, size_t n, const struct plan_cost *cost, const struct plan_limits *limits)
{
	double best = -1;

	for (unsigned cuts = 0; cuts < 1u << (n - 1); cuts++) {
		double us = 0;
		size_t from = 0;

		for (size_t to = 1; to <= n && us >= 0; to++) {
			if (to < n && !(cuts >> (to - 1) & 1))
				continue;
			if (to - from > 1 && !block_allowed(values, from, to, limits))
				us = -1;
			else
				us += plan_block_us(cost, values[to - 1].last - values[from].first + 1);
			from = to;
		}
		if (us >= 0 && (best < 0 || us < best))
			best = us;
	}
	return best;
}

static double cost_of(const struct plan_block *blocks, int n, const struct plan_cost *cost)
{
	double us = 0;

	for (int i = 0; i < n; i++)
		us += plan_block_us(cost, blocks[i].count);
	return us;
}

static void plan_is_as_cheap_as_the_best_of_all_plans(void **state)
{
	static const struct plan_span avoid[] = {{40, 41}, {90, 95}};
	static const uint32_t edges[] = {20, 64};
	uint64_t random = 1;

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct plan_limits limits = {.max_count = 20 + test_random(&random) % 106,
			.max_hole = (int64_t)(test_random(&random) % 40) - 1,
			.avoid = avoid,
			.avoid_count = test_random(&random) % 3,
			.edges = edges,
			.edge_count = test_random(&random) % 3};
		const struct plan_cost *cost = round % 2 ? &wire_9600 : &wire_115200;
		struct plan_span values[12];
		struct plan_block blocks[12];
		size_t n = 1 + test_random(&random) % 12;
		uint32_t at = 0;
		double got, best;
		int found;

		for (size_t i = 0; i < n; i++) {
			at += test_random(&random) % 3 ? 0 : test_random(&random) % 50;
			values[i].first = at;
			at += 1u << test_random(&random) % 3;
			values[i].last = at - 1;
		}
		found = plan_make(values, n, cost, &limits, blocks);
		assert_true(found > 0);
		got = cost_of(blocks, found, cost);
		best = brute_force(values, n, cost, &limits);
		if (got > best * 1.000001 || got < best * 0.999999)
			fail_msg("round %d: %zu values, %d blocks: %f us, best %f us", round, n, found, got, best);
	}
}

static void blocks_cover_each_value_once_and_whole(void **state)
{
	struct plan_span values[300];
	struct plan_block blocks[300];
	uint64_t random = 7;
	uint32_t at = 0;
	size_t next = 0;
	int found;

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		at += test_random(&random) % 30;
		values[i] = (struct plan_span){at, at + 1};
		at += 2;
	}
	found = plan_make(values, COUNT(values), &wire_9600, &modbus, blocks);
	for (int i = 0; i < found; i++) {
		assert_int_equal(blocks[i].from, next);
		assert_true(blocks[i].count <= 125);
		assert_int_equal(blocks[i].first, values[blocks[i].from].first);
		assert_int_equal(blocks[i].first + blocks[i].count - 1, values[blocks[i].to - 1].last);
		next = blocks[i].to;
	}
	assert_int_equal(next, COUNT(values));
}

/* Where it is cheaper to read a hole along than to ask again: the least hole that is not. */
static void holes_are_bridged_while_that_is_cheaper(void **state)
{
	static const struct {
		const struct plan_cost *cost;
		uint32_t bridged;
	} cases[] = {{&wire_9600, 9}, {&wire_115200, 51}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct plan_block blocks[2];
		struct plan_span near[2] = {{0, 0}, {cases[i].bridged + 1, cases[i].bridged + 1}};
		struct plan_span far[2] = {{0, 0}, {cases[i].bridged + 2, cases[i].bridged + 2}};

		assert_int_equal(plan_make(near, 2, cases[i].cost, &modbus, blocks), 1);
		assert_int_equal(plan_make(far, 2, cases[i].cost, &modbus, blocks), 2);
	}
}

static void long_blocks_are_cut_where_commands_would_wait(void **state)
{
	struct plan_limits limits = {.max_count = 125, .max_hole = -1, .max_block_us = 60000};
	struct plan_span values[100];
	struct plan_block blocks[100];
	int found;

	(void)state;
	for (uint32_t i = 0; i < COUNT(values); i++)
		values[i] = (struct plan_span){i, i};
	found = plan_make(values, COUNT(values), &wire_9600, &limits, blocks);
	assert_true(found > 1);
	for (int i = 0; i < found; i++)
		assert_true(plan_block_us(&wire_9600, blocks[i].count) <= 60000);
}

static void overlapping_values_share_a_block(void **state)
{
	const struct plan_span values[] = {{10, 13}, {10, 10}, {11, 12}};
	struct plan_block blocks[3];

	(void)state;
	assert_int_equal(plan_make(values, 3, &wire_9600, &modbus, blocks), 1);
	assert_int_equal(blocks[0].first, 10);
	assert_int_equal(blocks[0].count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_is_as_cheap_as_the_best_of_all_plans),
		cmocka_unit_test(blocks_cover_each_value_once_and_whole),
		cmocka_unit_test(holes_are_bridged_while_that_is_cheaper),
		cmocka_unit_test(long_blocks_are_cut_where_commands_would_wait),
		cmocka_unit_test(overlapping_values_share_a_block),
	};

	return cmocka_run_group_tests_name("drivers/plan", tests, NULL, NULL);
}
