/* SPDX-License-Identifier: MIT */
#include "drivers/urgent.h"

#include "tests/lib/test.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* Is the caller scheduled as it was told? The exit status of a process of its own: what is asked for is not taken back. */
static int check(enum urgency u)
{
	int policy = sched_getscheduler(0);

	return u == URGENCY_REALTIME ? policy != (SCHED_RR | SCHED_RESET_ON_FORK) : policy != SCHED_OTHER;
}

static int in_a_child(int (*what)(void))
{
	pid_t pid = fork();
	int status = -1;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int ask(void)
{
	return check(urgent_ask());
}

static int ask_without_leave(void)
{
	const struct rlimit none = {0, 0};
	enum urgency u;

	if (setrlimit(RLIMIT_RTPRIO, &none) < 0 || (geteuid() == 0 && setuid(NOBODY) < 0))
		return 2;
	u = urgent_ask();
	return u == URGENCY_REALTIME ? 3 : check(u);
}

static void what_was_granted_is_what_is_told(void **state)
{
	(void)state;
	assert_int_equal(in_a_child(ask), 0);
}

static void without_leave_there_is_no_real_time_and_no_harm(void **state)
{
	(void)state;
	assert_int_equal(in_a_child(ask_without_leave), 0);
}

static void each_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(urgency_name(URGENCY_NONE), "normal");
	assert_string_equal(urgency_name(URGENCY_SLICE), "slice");
	assert_string_equal(urgency_name(URGENCY_REALTIME), "realtime");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_granted_is_what_is_told),
		cmocka_unit_test(without_leave_there_is_no_real_time_and_no_harm),
		cmocka_unit_test(each_has_a_name),
	};

	return cmocka_run_group_tests_name("drivers/urgent", tests, NULL, NULL);
}
