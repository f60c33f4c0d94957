/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include "tests/lib/test.h"

/* What is in files must mean the same to every build. */
static void sums_are_those_of_fnv_1a(void **state)
{
	(void)state;
	assert_true(hash_text("") == UINT64_C(0xcbf29ce484222325));
	assert_true(hash_text("a") == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash_text("foobar") == UINT64_C(0x85944171f73967e8));
	assert_int_equal(hash32_text(""), 0x811c9dc5);
	assert_int_equal(hash32_text("a"), 0xe40c292c);
	assert_int_equal(hash32_text("foobar"), 0xbf9cf968);
}

static void a_sum_goes_on_from_what_came_before(void **state)
{
	(void)state;
	assert_true(hash_on(hash_on(HASH_BEGIN, "foo", 3), "bar", 3) == hash_text("foobar"));
	assert_true(hash_byte(hash_text("fooba"), 'r') == hash_text("foobar"));
	assert_int_equal(hash32_on(hash32_on(HASH_BEGIN32, "foo", 3), "bar", 3), hash32_text("foobar"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_those_of_fnv_1a),
		cmocka_unit_test(a_sum_goes_on_from_what_came_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
