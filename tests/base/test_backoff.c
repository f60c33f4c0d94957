/* SPDX-License-Identifier: MIT */
#include "base/backoff.h"
#include "tests/lib/test.h"

static void the_range_doubles_up_to_the_cap(void **state)
{
	static const int64_t top[] = {100, 200, 400, 800, 1000, 1000};
	struct backoff b = {.floor_ms = 0, .base_ms = 100, .cap_ms = 1000};

	(void)state;
	for (size_t i = 0; i < COUNT(top); i++) {
		struct backoff low = b, high = b;

		assert_int_equal(backoff_next_ms(&low, 0), 0);
		assert_int_equal(backoff_next_ms(&high, (uint32_t)top[i]), top[i]);
		high = b;
		assert_int_equal(
			backoff_next_ms(&high, (uint32_t)top[i] + 1), 0); /* wraps round: the range ends at top */
		backoff_next_ms(&b, 0);
	}
}

static void success_starts_the_range_again(void **state)
{
	struct backoff b = {.base_ms = 100, .cap_ms = 10000};

	(void)state;
	for (int i = 0; i < 5; i++)
		backoff_next_ms(&b, 0);
	backoff_reset(&b);
	assert_int_equal(backoff_next_ms(&b, 100), 100);
}

static void never_waits_less_than_the_floor_nor_more_than_the_cap(void **state)
{
	struct backoff b = {.floor_ms = 50, .base_ms = 10, .cap_ms = 3000};
	uint64_t seed = 1;
	int64_t most = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		int64_t wait = backoff_next_ms(&b, test_random(&seed));

		assert_in_range(wait, 50, 3000);
		most = wait > most ? wait : most;
	}
	assert_true(most > 2900); /* and uses the range it has */
}

static void a_thousand_attempts_do_not_overflow(void **state)
{
	struct backoff b = {.base_ms = 1, .cap_ms = INT64_MAX / 4};

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(backoff_next_ms(&b, UINT32_MAX) >= 0);
}

static void random_numbers_differ(void **state)
{
	uint32_t first = backoff_random();
	int same = 0;

	(void)state;
	for (int i = 0; i < 8; i++)
		same += backoff_random() == first;
	assert_true(same < 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_range_doubles_up_to_the_cap),
		cmocka_unit_test(success_starts_the_range_again),
		cmocka_unit_test(never_waits_less_than_the_floor_nor_more_than_the_cap),
		cmocka_unit_test(a_thousand_attempts_do_not_overflow),
		cmocka_unit_test(random_numbers_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
