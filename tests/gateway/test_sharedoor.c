/* SPDX-License-Identifier: MIT */
#include "gateway/sharedoor.h"

#include "tests/lib/test.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned callers;

static void let_in(struct sharedoor *d, int fd, const char *from)
{
	(void)d;
	assert_string_equal(from, "127.0.0.1");
	callers++;
	close(fd);
}

static int call(const struct sharedoor *d)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(getsockname(d->ears[0].watch.fd, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
	return fd;
}

/* The caller waits in the kernel's queue meanwhile, and is let in when there is a descriptor again. */
static void without_a_descriptor_for_a_caller_the_loop_rests(void **state)
{
	struct sharedoor d = {.bind = "127.0.0.1:0", .line = "bus", .knocked = let_in};
	struct rlimit was, none;
	int caller;

	(void)state;
	callers = 0;
	assert_int_equal(loop_new(&d.loop, &clock_system), 0);
	sharedoor_open(&d);
	assert_int_equal(d.ear_count, 1);
	caller = call(&d);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)caller; /* all below are open */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(loop_has_ready(d.loop));
	assert_int_equal(loop_turn(d.loop, 0), 0);
	assert_false(loop_has_ready(d.loop));
	assert_int_equal(callers, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	while (callers == 0)
		assert_int_equal(loop_turn(d.loop, -1), 0);
	close(caller);
	sharedoor_close(&d);
	loop_free(d.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_descriptor_for_a_caller_the_loop_rests),
	};

	return cmocka_run_group_tests_name("gateway/sharedoor", tests, NULL, NULL);
}
