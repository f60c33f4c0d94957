/* SPDX-License-Identifier: MIT */
#include "broker/address.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool has_ipv6(void)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static bool answers(const char *address, int family, int port)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = a6.sin6_port};
	bool six = family == AF_INET6;
	int fd = socket(family, SOCK_STREAM, 0), r;

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(family, address, six ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr), 1);
	r = six ? connect(fd, (struct sockaddr *)&a6, sizeof(a6)) : connect(fd, (struct sockaddr *)&a4, sizeof(a4));
	close(fd);
	return r == 0;
}

static void close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

/* The port that is free at 127.0.0.1 may be somebody else's at ::1. */
static int open_localhost(int fds[ADDRESS_SOCKETS])
{
	int count = -EADDRINUSE;

	for (int i = 0; i < 20 && count == -EADDRINUSE; i++)
		count = address_open(fds, "localhost:0", 0);
	return count;
}

static void localhost_is_both_families_at_one_port(void **state)
{
	int fds[ADDRESS_SOCKETS], count = open_localhost(fds), port;

	(void)state;
	assert_int_equal(count, has_ipv6() ? 2 : 1);
	port = address_port(fds[0]);
	assert_true(port > 0);
	assert_true(answers("127.0.0.1", AF_INET, port));
	if (count == 2)
		assert_true(answers("::1", AF_INET6, port));
	close_all(fds, count);
}

/* Somebody else at ::1 would get half of the clients: that is an error, and 127.0.0.1 is free again. */
static void one_address_that_is_taken_takes_all_back(void **state)
{
	int taken[ADDRESS_SOCKETS], fds[ADDRESS_SOCKETS], port;
	char at[64];

	(void)state;
	if (!has_ipv6())
		skip();
	assert_int_equal(open_localhost(taken), 2);
	port = address_port(taken[0]);
	snprintf(at, sizeof(at), "localhost:%d", port);
	close(taken[0]);
	assert_int_equal(address_open(fds, at, 0), -EADDRINUSE);
	assert_false(answers("127.0.0.1", AF_INET, port));
	close(taken[1]);
}

static void a_number_is_one_socket(void **state)
{
	static const char *const binds[] = {"127.0.0.1:0", ":0"};

	(void)state;
	for (size_t i = 0; i < sizeof(binds) / sizeof(binds[0]); i++) {
		int fds[ADDRESS_SOCKETS];

		assert_int_equal(address_open(fds, binds[i], 0), 1);
		assert_true(answers("127.0.0.1", AF_INET, address_port(fds[0])));
		close_all(fds, 1);
	}
}

/* As long as it lives it may take clients in again; that it takes none now is nothing to wait for. */
static void a_unix_socket_whose_listener_hangs_is_taken(void **state)
{
	char *dir = tempdir_new(), bind_to[128];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fds[ADDRESS_SOCKETS], clients[64], listener = socket(AF_UNIX, SOCK_STREAM, 0), count = 0;

	(void)state;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/mqtt.sock", dir);
	snprintf(bind_to, sizeof(bind_to), "unix:%s", a.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	do
		clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	while (connect(clients[count++], (struct sockaddr *)&a, sizeof(a)) == 0 && count < (int)COUNT(clients));
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(address_open(fds, bind_to, 0), -EADDRINUSE);
	assert_int_equal(access(a.sun_path, F_OK), 0);
	close_all(clients, count);
	close(listener);
	assert_int_equal(address_open(fds, bind_to, 0), 1); /* and now it is left over */
	close(fds[0]);
	tempdir_free(dir);
}

static void what_is_no_address_is_refused(void **state)
{
	int fds[ADDRESS_SOCKETS];

	(void)state;
	assert_int_equal(address_open(fds, "1883", 0), -EINVAL);
	assert_int_equal(address_open(fds, "192.0.2.1:0", 0), -EADDRNOTAVAIL);
	assert_null(address_path("127.0.0.1:1"));
	assert_string_equal(address_path("unix:/run/x"), "/run/x");
}

static void a_path_that_is_too_long_for_a_socket_is_refused_and_no_other_is_made_of_it(void **state)
{
	char *folder = tempdir_new(), bind[512], path[500];
	int fds[ADDRESS_SOCKETS], room = (int)sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	(void)state;
	for (int len = room; len <= room + 1; len++) {
		int fill = len - (int)strlen(folder) - 1, count;

		snprintf(path, sizeof(path), "%s/%0*d", folder, fill, 0);
		snprintf(bind, sizeof(bind), "unix:%s", path);
		count = address_open(fds, bind, 0);
		assert_int_equal(count, len == room ? 1 : -ENAMETOOLONG);
		close_all(fds, count);
		assert_int_equal(unlink(path), len == room ? 0 : -1);
	}
	tempdir_free(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_that_is_too_long_for_a_socket_is_refused_and_no_other_is_made_of_it),
		cmocka_unit_test(localhost_is_both_families_at_one_port),
		cmocka_unit_test(one_address_that_is_taken_takes_all_back),
		cmocka_unit_test(a_number_is_one_socket),
		cmocka_unit_test(a_unix_socket_whose_listener_hangs_is_taken),
		cmocka_unit_test(what_is_no_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
