/* SPDX-License-Identifier: MIT */
#include "bridge/hints.h"
#include "tests/lib/test.h"

static void refusals_of_one_kind_are_told_once_a_minute(void **state)
{
	struct hints h = {0};
	uint64_t untold;

	(void)state;
	assert_true(hints_refused(&h, 0x87, 1000, &untold));
	for (int i = 1; i <= 40; i++)
		assert_false(hints_refused(&h, 0x87, 1000 + i, &untold));
	assert_true(hints_refused(&h, 0x87, 1000 + HINTS_QUIET_MS, &untold));
	assert_int_equal(untold, 40);
}

static void refusals_of_another_kind_are_told_at_once(void **state)
{
	struct hints h = {0};
	uint64_t untold;

	(void)state;
	assert_true(hints_refused(&h, 0x87, 1000, &untold));
	assert_true(hints_refused(&h, 0x95, 1001, &untold));
	assert_int_equal(untold, 0);
}

static void third_link_that_is_short_stands_out(void **state)
{
	struct hints h = {0};

	(void)state;
	for (int i = 1; i <= 4; i++) {
		hints_up(&h, i * 1000);
		assert_int_equal(hints_down(&h, i * 1000 + 900), i >= HINTS_SHORT_LIVES);
	}
	hints_up(&h, 10000);
	assert_false(hints_down(&h, 10000 + HINTS_SHORT_MS));
}

static void calls_that_nobody_takes_are_no_short_links(void **state)
{
	struct hints h = {0};

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_false(hints_down(&h, i * 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_of_one_kind_are_told_once_a_minute),
		cmocka_unit_test(refusals_of_another_kind_are_told_at_once),
		cmocka_unit_test(third_link_that_is_short_stands_out),
		cmocka_unit_test(calls_that_nobody_takes_are_no_short_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
