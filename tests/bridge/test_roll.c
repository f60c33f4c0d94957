/* SPDX-License-Identifier: MIT */
#include "bridge/roll.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <string.h>

static char *dir;
static struct roll *roll;

static int setup(void **state)
{
	(void)state;
	dir = tempdir_new();
	assert_int_equal(roll_open(&roll, dir, "up"), 0);
	roll_begin(roll, "mqtt://a", false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	roll_close(roll);
	tempdir_free(dir);
	return 0;
}

static void expect(const char *const *filters, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++)
		assert_string_equal(roll_next(roll, &at), filters[i]);
	assert_null(roll_next(roll, &at));
}

static void what_was_added_is_there_in_the_next_process(void **state)
{
	(void)state;
	roll_add(roll, "a/#", 1);
	roll_add(roll, "b/+", 2);
	roll_close(roll);
	assert_int_equal(roll_open(&roll, dir, "up"), 0);
	roll_begin(roll, "mqtt://a", true);
	assert_true(roll_has(roll, "a/#", 1));
	assert_false(roll_has(roll, "a/#", 2));
	assert_false(roll_has(roll, "a", 1));
	expect((const char *[]){"a/#", "b/+"}, 2);
}

static void what_was_dropped_is_gone_and_may_come_back(void **state)
{
	(void)state;
	roll_add(roll, "a/#", 1);
	roll_add(roll, "b/+", 2);
	roll_drop(roll, "a/#");
	roll_drop(roll, "never/there");
	expect((const char *[]){"b/+"}, 1);
	roll_add(roll, "a/#", 0);
	assert_true(roll_has(roll, "a/#", 0));
	roll_add(roll, "a/#", 2);
	assert_true(roll_has(roll, "a/#", 2));
	expect((const char *[]){"a/#", "b/+"}, 2);
}

static void another_session_has_none(void **state)
{
	(void)state;
	roll_add(roll, "a/#", 1);
	roll_begin(roll, "mqtt://b", true);
	expect(NULL, 0);
	roll_add(roll, "a/#", 1);
	roll_begin(roll, "mqtt://b", false);
	expect(NULL, 0);
}

static void what_does_not_fit_is_not_remembered(void **state)
{
	static char filter[40000];

	(void)state;
	memset(filter, 'f', sizeof(filter) - 1);
	roll_add(roll, filter, 1);
	filter[0] = 'g';
	roll_add(roll, filter, 1);
	assert_false(roll_has(roll, filter, 1));
	roll_add(roll, "a/#", 1);
	assert_true(roll_has(roll, "a/#", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_added_is_there_in_the_next_process, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_dropped_is_gone_and_may_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(another_session_has_none, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_not_remembered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
