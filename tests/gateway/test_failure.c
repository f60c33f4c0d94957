/* SPDX-License-Identifier: MIT */
#include "gateway/failure.h"

#include "tests/lib/test.h"

#include <string.h>

static void what_a_device_says_has_a_meaning(void **state)
{
	(void)state;
	assert_string_equal(failure_exception(2), "no such register");
	assert_string_equal(failure_exception(11), "it does not answer the gateway");
	assert_string_equal(failure_exception(12), failure_exception(0));
	assert_string_equal(failure_exception(255), failure_exception(0));
}

static void failure_has_its_advice(void **state)
{
	(void)state;
	assert_non_null(strstr(failure_advice("timeout"), "weir scan"));
	assert_non_null(strstr(failure_advice("port"), "weir status"));
	assert_non_null(strstr(failure_advice("exception 2"), "count from 0"));
	assert_non_null(strstr(failure_advice("exception 11"), "the gateway on the way answers"));
	assert_null(failure_advice("exception 12"));
	assert_null(failure_advice("exception 2x"));
	assert_null(failure_advice("something else"));
	assert_null(failure_advice(NULL));
}

static void gateway_that_reaches_nobody_is_no_device(void **state)
{
	(void)state;
	assert_true(failure_is_absence("timeout"));
	assert_true(failure_is_absence("exception 10"));
	assert_true(failure_is_absence("exception 11"));
	assert_false(failure_is_absence("exception 1"));
	assert_false(failure_is_absence("crc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_device_says_has_a_meaning),
		cmocka_unit_test(failure_has_its_advice),
		cmocka_unit_test(gateway_that_reaches_nobody_is_no_device),
	};

	return cmocka_run_group_tests_name("gateway/failure", tests, NULL, NULL);
}
