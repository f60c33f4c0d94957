/* SPDX-License-Identifier: MIT */
#include "base/lazy.h"

#include "tests/lib/test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef double of_two(double, double);

static void *addresses[LAZY_PAGE / sizeof(void *)] __attribute__((aligned(LAZY_PAGE)));
static const char *const names[] = {"fmax", "pow"};
static const struct lazy libm = {"libm.so.6", names, 2, addresses};

/* It loads, and ends as the child does. */
static int end_of(const struct lazy *l)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		lazy_find(l, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void the_first_call_loads_all_functions_of_the_library(void **state)
{
	void *at = lazy_find(&libm, 1);
	of_two *power;

	(void)state;
	memcpy(&power, &at, sizeof(power));
	assert_true(power(2, 10) == 1024);
	assert_ptr_equal(addresses[1], at);
	assert_non_null(addresses[0]);
	assert_ptr_equal(lazy_find(&libm, 1), at);
}

static void addresses_cannot_be_changed_once_they_are_known(void **state)
{
	int status;
	pid_t child;

	(void)state;
	lazy_find(&libm, 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(void *volatile *)&addresses[0] = NULL;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_library_that_is_not_there_ends_the_process(void **state)
{
	static void *at[LAZY_PAGE / sizeof(void *)] __attribute__((aligned(LAZY_PAGE)));
	static const struct lazy missing = {"libweir-is-not-there.so.1", names, 2, at};
	int status = end_of(&missing);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 127);
}

static void a_library_without_the_function_ends_the_process(void **state)
{
	static void *at[LAZY_PAGE / sizeof(void *)] __attribute__((aligned(LAZY_PAGE)));
	static const char *const other[] = {"fmax", "weir_is_not_there"};
	static const struct lazy lacking = {"libm.so.6", other, 2, at};
	int status = end_of(&lacking);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 127);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_call_loads_all_functions_of_the_library),
		cmocka_unit_test(addresses_cannot_be_changed_once_they_are_known),
		cmocka_unit_test(a_library_that_is_not_there_ends_the_process),
		cmocka_unit_test(a_library_without_the_function_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
