/* SPDX-License-Identifier: MIT */
#include "base/pool.h"
#include "tests/lib/test.h"

#include <stdalign.h>
#include <string.h>

static void objects_are_zeroed_aligned_and_apart(void **state)
{
	static const size_t sizes[] = {1, 8, 17, 100, 5000, 40000};

	(void)state;
	for (size_t s = 0; s < COUNT(sizes); s++) {
		struct pool p;
		uint8_t *at[50];

		pool_init(&p, sizes[s], 50);
		for (size_t i = 0; i < COUNT(at); i++) {
			at[i] = pool_get(&p);
			assert_non_null(at[i]);
			assert_int_equal((uintptr_t)at[i] % alignof(max_align_t), 0);
			for (size_t k = 0; k < sizes[s]; k++)
				assert_int_equal(at[i][k], 0);
			memset(at[i], (int)i + 1, sizes[s]);
		}
		for (size_t i = 0; i < COUNT(at); i++) {
			assert_int_equal(at[i][0], i + 1);
			assert_int_equal(at[i][sizes[s] - 1], i + 1);
			pool_put(&p, at[i]);
		}
		assert_int_equal(p.used, 0);
		pool_fini(&p);
	}
}

static void get_refuses_at_cap_and_counts_it(void **state)
{
	struct pool p;
	void *one, *two;

	(void)state;
	pool_init(&p, 32, 2);
	one = pool_get(&p);
	two = pool_get(&p);
	assert_non_null(one);
	assert_non_null(two);
	assert_null(pool_get(&p));
	assert_int_equal(p.refused, 1);
	assert_int_equal(p.used, 2);
	pool_put(&p, one);
	assert_ptr_equal(pool_get(&p), one);
	assert_null(pool_get(&p));
	pool_put(&p, NULL);
	pool_fini(&p);
}

static void an_object_used_again_is_zeroed_again(void **state)
{
	struct pool p;
	uint8_t *at;

	(void)state;
	pool_init(&p, 64, 1);
	at = pool_get(&p);
	memset(at, 0xff, 64);
	pool_put(&p, at);
	at = pool_get(&p);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(at[i], 0);
	pool_fini(&p);
}

static void a_pool_without_room_gives_nothing(void **state)
{
	struct pool p;

	(void)state;
	pool_init(&p, 64, 0);
	assert_null(pool_get(&p));
	pool_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_zeroed_aligned_and_apart),
		cmocka_unit_test(get_refuses_at_cap_and_counts_it),
		cmocka_unit_test(an_object_used_again_is_zeroed_again),
		cmocka_unit_test(a_pool_without_room_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
