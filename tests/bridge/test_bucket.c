/* SPDX-License-Identifier: MIT */
#include "bridge/bucket.h"
#include "tests/lib/test.h"

static void a_tenth_of_a_second_may_be_spent_at_once(void **state)
{
	struct bucket b = {.per_s = 100};
	int n = 0;

	(void)state;
	for (; bucket_allows(&b, 5000); n++)
		bucket_spend(&b, 1);
	assert_int_equal(n, 10);
	assert_false(bucket_allows(&b, 5000));
	assert_int_equal(bucket_due_ms(&b, 5000), 5001);
	assert_true(bucket_allows(&b, 5001));
}

static void what_is_too_large_for_it_is_paid_for_by_waiting(void **state)
{
	struct bucket b = {.per_s = 100};

	(void)state;
	assert_true(bucket_allows(&b, 1000));
	bucket_spend(&b, 210);
	assert_int_equal(bucket_due_ms(&b, 1000), 3001);
	assert_false(bucket_allows(&b, 3000));
	assert_true(bucket_allows(&b, 3001));
}

static void years_of_idling_at_the_highest_rate_are_not_too_many(void **state)
{
	struct bucket b = {.per_s = INT64_C(10) << 30};
	int64_t year_ms = INT64_C(365) * 86400 * 1000;

	(void)state;
	assert_true(bucket_allows(&b, 1000));
	assert_true(bucket_allows(&b, 1000 + 30 * year_ms));
	assert_int_equal(b.credit, b.per_s * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tenth_of_a_second_may_be_spent_at_once),
		cmocka_unit_test(what_is_too_large_for_it_is_paid_for_by_waiting),
		cmocka_unit_test(years_of_idling_at_the_highest_rate_are_not_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
