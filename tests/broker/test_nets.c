/* SPDX-License-Identifier: MIT */
#include "broker/nets.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static struct sockaddr_storage peer(const char *text)
{
	struct sockaddr_storage s = {.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET};
	void *to = s.ss_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&s)->sin6_addr
					   : (void *)&((struct sockaddr_in *)&s)->sin_addr;

	assert_int_equal(inet_pton(s.ss_family, text, to), 1);
	return s;
}

static void networks_have_their_addresses_and_no_others(void **state)
{
	static const struct {
		const char *net, *peer;
		bool in;
	} cases[] = {
		{"10.0.0.5", "10.0.0.5", true},
		{"10.0.0.5", "10.0.0.4", false},
		{"10.0.0.5", "::ffff:10.0.0.5", true}, /* at a socket of both families */
		{"10.1.0.0/16", "10.1.255.255", true},
		{"10.1.0.0/16", "10.2.0.0", false},
		{"10.1.2.3/16", "10.1.9.9", true}, /* what does not count may be anything */
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.128/25", "192.0.2.200", true},
		{"192.0.2.6/31", "192.0.2.7", true},
		{"192.0.2.6/31", "192.0.2.8", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "203.0.113.9", true},
		{"2001:db8::/32", "2001:db8:ffff::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"::1", "::1", true},
		{"::1/128", "::2", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_storage p = peer(cases[i].peer);
		struct net n;

		assert_int_equal(net_parse(&n, cases[i].net), 0);
		if (nets_have(&n, 1, &p) != cases[i].in)
			fail_msg("%s and %s", cases[i].net, cases[i].peer);
	}
}

static void what_is_no_network_is_refused(void **state)
{
	static const char *const bad[] = {"", "/", "10.0.0", "10.0.0.5/", "10.0.0.5/33", "10.0.0.5/-1", "10.0.0.5/+8",
		"10.0.0.5/8x", "10.0.0.5/ 8", "::1/129", "::1/99999999999999999999", "proxy.example", "10.0.0.5:80",
		"[::1]", "10.0.0.256", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
	struct net n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (net_parse(&n, bad[i]) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
}

static void a_peer_without_an_address_is_in_none(void **state)
{
	struct sockaddr_storage local = {.ss_family = AF_UNIX};
	struct net all;

	(void)state;
	assert_int_equal(net_parse(&all, "::/0"), 0);
	assert_false(nets_have(&all, 1, &local));
	assert_false(nets_have(NULL, 0, &(struct sockaddr_storage){.ss_family = AF_INET}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_have_their_addresses_and_no_others),
		cmocka_unit_test(what_is_no_network_is_refused),
		cmocka_unit_test(a_peer_without_an_address_is_in_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
