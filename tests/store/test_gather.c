/* SPDX-License-Identifier: MIT */
#include "store/gather.h"
#include "tests/lib/test.h"

#include <string.h>

static struct gather gather;

static int setup(void **state)
{
	(void)state;
	gather_reset(&gather, 100);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gather_fini(&gather);
	return 0;
}

static void put(const char *text)
{
	struct span parts[2] = {{(const uint8_t *)text, 1}, {(const uint8_t *)text + 1, strlen(text) - 1}};

	assert_int_equal(gather_put(&gather, parts, 2, strlen(text)), 0);
}

static void parts_become_one_entry(void **state)
{
	struct folio_entry e[4];
	size_t at = 0;

	(void)state;
	put("hello");
	put("x");
	assert_int_equal(gather_entries(&gather, &at, e, COUNT(e)), 2);
	assert_int_equal(e[0].number, 100);
	assert_int_equal(e[1].number, 101);
	assert_int_equal(e[0].bytes.len, 5);
	assert_memory_equal(e[0].bytes.at, "hello", 5);
}

static void what_is_dropped_again_is_gone(void **state)
{
	struct folio_entry e[4];
	size_t at = 0;

	(void)state;
	put("one");
	put("two");
	put("three");
	gather_drop(&gather, 101);
	gather_drop(&gather, 101);
	gather_drop(&gather, 103); /* not given out yet */
	assert_int_equal(gather.live, 2);
	assert_int_equal(gather.drop_count, 0);
	assert_int_equal(gather_entries(&gather, &at, e, COUNT(e)), 2);
	assert_int_equal(e[1].number, 102);
	gather_drop(&gather, 100);
	gather_drop(&gather, 102);
	assert_true(gather_is_empty(&gather));
}

static void what_was_put_before_is_noted_as_a_drop(void **state)
{
	(void)state;
	assert_true(gather_is_empty(&gather));
	gather_drop(&gather, 99);
	assert_int_equal(gather.drop_count, 1);
	assert_false(gather_is_empty(&gather));
}

static void entries_come_in_pieces(void **state)
{
	struct folio_entry e[3];
	size_t at = 0, n, seen = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		put("abc");
	while ((n = gather_entries(&gather, &at, e, COUNT(e))) > 0)
		for (size_t i = 0; i < n; i++)
			assert_int_equal(e[i].number, 100 + seen++);
	assert_int_equal(seen, 10);
}

static void bytes_of_what_is_gone_are_used_again(void **state)
{
	char text[1001];
	struct folio_entry e[2];
	size_t at = 0;

	(void)state;
	memset(text, 'a', 1000);
	text[1000] = 0;
	put("first");
	for (uint64_t i = 0; i < 10000; i++) {
		put(text);
		gather_drop(&gather, 101 + i);
	}
	assert_true(gather.cap < 100000);
	put("last");
	assert_int_equal(gather_entries(&gather, &at, e, COUNT(e)), 2);
	assert_memory_equal(e[0].bytes.at, "first", 5);
	assert_memory_equal(e[1].bytes.at, "last", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parts_become_one_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_dropped_again_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_put_before_is_noted_as_a_drop, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_come_in_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_of_what_is_gone_are_used_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
