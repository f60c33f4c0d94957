/* SPDX-License-Identifier: MIT */
#include "drivers/spread.h"

#include "tests/lib/test.h"

#include <stdlib.h>

static void nothing_is_known_before_the_first(void **state)
{
	struct spread s = {0};

	(void)state;
	assert_int_equal(spread_at(&s, 500), -1);
}

static void median_and_the_slow_ones_are_within_five_percent(void **state)
{
	static const int64_t usual[] = {70, 500, 5000, 20000, 300000, 5000000};

	(void)state;
	for (size_t i = 0; i < COUNT(usual); i++) {
		struct spread s = {0};

		for (int k = 0; k < 1000; k++)
			spread_add(&s, k % 50 == 0 ? 3 * usual[i] : usual[i]);
		assert_true(llabs(spread_at(&s, 500) - usual[i]) <= usual[i] / 20);
		assert_true(llabs(spread_at(&s, 990) - 3 * usual[i]) <= 3 * usual[i] / 20);
	}
}

static void what_is_too_short_or_too_long_counts_as_the_least_and_the_most(void **state)
{
	struct spread s = {0};

	(void)state;
	spread_add(&s, 0);
	spread_add(&s, INT64_MAX);
	assert_in_range(spread_at(&s, 500), 60, 75);
	assert_in_range(spread_at(&s, 1000), 14000000, 17000000);
}

static void old_readings_fade(void **state)
{
	struct spread s = {0};

	(void)state;
	for (int k = 0; k < SPREAD_FULL; k++)
		spread_add(&s, 1000);
	for (int k = 0; k < 3 * SPREAD_FULL; k++)
		spread_add(&s, 100000);
	assert_in_range(spread_at(&s, 500), 95000, 105000);
	assert_true(s.total <= SPREAD_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_before_the_first),
		cmocka_unit_test(median_and_the_slow_ones_are_within_five_percent),
		cmocka_unit_test(what_is_too_short_or_too_long_counts_as_the_least_and_the_most),
		cmocka_unit_test(old_readings_fade),
	};

	return cmocka_run_group_tests_name("drivers/spread", tests, NULL, NULL);
}
