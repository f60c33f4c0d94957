/* SPDX-License-Identifier: MIT */
#include "base/owner.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void *check_from_here(void *arg)
{
	owner_assert(arg, __func__);
	return NULL;
}

/* How a child ends that checks from a thread of its own. */
static int status_of_a_stranger(struct owner *o)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		pthread_t t;

		dup2(null, STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		if (pthread_create(&t, NULL, check_from_here, o) != 0)
			_exit(2);
		pthread_join(t, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void the_owner_passes_and_a_stranger_aborts(void **state)
{
	struct owner o = {0};
	int status;

	(void)state;
	owner_take(&o);
	owner_assert(&o, __func__);
	status = status_of_a_stranger(&o);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void nobody_is_a_stranger_before_it_is_taken_or_after_its_release(void **state)
{
	struct owner o = {0};

	(void)state;
	assert_int_equal(status_of_a_stranger(&o), 0);
	owner_take(&o);
	owner_release(&o);
	assert_int_equal(status_of_a_stranger(&o), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_owner_passes_and_a_stranger_aborts),
		cmocka_unit_test(nobody_is_a_stranger_before_it_is_taken_or_after_its_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
