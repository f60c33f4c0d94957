/* SPDX-License-Identifier: MIT */
#include "base/arena.h"
#include "tests/lib/test.h"

#include <stdalign.h>
#include <string.h>

static void memory_is_zeroed_aligned_and_apart(void **state)
{
	struct arena *a;
	uint8_t *at[300];

	(void)state;
	assert_int_equal(arena_new(&a, 1024 * 1024), 0);
	for (size_t i = 0; i < COUNT(at); i++) {
		size_t size = 1 + i * 7 % 500;

		at[i] = arena_alloc(a, size);
		assert_non_null(at[i]);
		assert_int_equal((uintptr_t)at[i] % alignof(max_align_t), 0);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(at[i][k], 0);
		memset(at[i], (int)(i + 1) & 0xff, size);
	}
	for (size_t i = 0; i < COUNT(at); i++)
		for (size_t k = 0; k < 1 + i * 7 % 500; k++)
			assert_int_equal(at[i][k], (i + 1) & 0xff);
	arena_free(a);
}

static void refuses_past_its_cap_and_serves_what_still_fits(void **state)
{
	struct arena *a;

	(void)state;
	assert_int_equal(arena_new(&a, 1000), 0);
	assert_null(arena_alloc(a, 1001));
	assert_non_null(arena_alloc(a, 900));
	assert_null(arena_alloc(a, 200));
	assert_non_null(arena_alloc(a, 80));
	assert_null(arena_alloc(a, 80));
	assert_null(arena_alloc(a, SIZE_MAX));
	arena_free(a);
}

static void a_request_larger_than_a_block_is_served(void **state)
{
	struct arena *a;
	char *big, *small;

	(void)state;
	assert_int_equal(arena_new(&a, 10 * 1024 * 1024), 0);
	small = arena_alloc(a, 10);
	big = arena_alloc(a, 1024 * 1024);
	assert_non_null(small);
	assert_non_null(big);
	memset(big, 1, 1024 * 1024);
	assert_int_equal(small[9], 0);
	arena_free(a);
}

static void texts_are_terminated_and_cut_at_their_length(void **state)
{
	struct arena *a;

	(void)state;
	assert_int_equal(arena_new(&a, 4096), 0);
	assert_string_equal(arena_strndup(a, "boiler-2", 6), "boiler");
	assert_string_equal(arena_strndup(a, "", 0), "");
	assert_string_equal(arena_strndup(a, NULL, 0), "");
	assert_string_equal(arena_printf(a, "%s:%d", "line", 12), "line:12");
	assert_null(arena_printf(a, "%5000d", 1));
	arena_free(a);
	arena_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
		cmocka_unit_test(refuses_past_its_cap_and_serves_what_still_fits),
		cmocka_unit_test(a_request_larger_than_a_block_is_served),
		cmocka_unit_test(texts_are_terminated_and_cut_at_their_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
