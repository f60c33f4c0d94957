/* SPDX-License-Identifier: MIT */
#include "bridge/address.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <stdbool.h>

static void addresses_get_the_port_of_their_scheme(void **state)
{
	static const struct {
		const char *address, *uri; /* NULL: refused */
		bool tls;
	} cases[] = {
		{"mqtt://broker.example", "tcp://broker.example:1883", false},
		{"mqtt://broker.example:1884", "tcp://broker.example:1884", false},
		{"mqtts://broker.example", "ssl://broker.example:8883", true},
		{"mqtts://broker.example:443", "ssl://broker.example:443", true},
		{"ws://broker.example", "ws://broker.example:80", false},
		{"ws://broker.example/mqtt", "ws://broker.example/mqtt", false},
		{"wss://broker.example", "wss://broker.example:443", true},
		{"mqtt://[2001:db8::1]", "tcp://[2001:db8::1]:1883", false},
		{"mqtt://[2001:db8::1]:1884", "tcp://[2001:db8::1]:1884", false},
		{"tcp://broker.example", NULL, false},
		{"broker.example", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char uri[64];
		bool tls = false;
		int r = address_uri(cases[i].address, uri, sizeof(uri), &tls);

		assert_int_equal(r, cases[i].uri ? 0 : -EINVAL);
		if (r == 0) {
			assert_string_equal(uri, cases[i].uri);
			assert_int_equal(tls, cases[i].tls);
		}
	}
}

static void the_host_is_what_a_certificate_names(void **state)
{
	static const char *const cases[][2] = {
		{"mqtts://broker.example", "broker.example"},
		{"mqtts://broker.example:443", "broker.example"},
		{"wss://broker.example/mqtt", "broker.example"},
		{"mqtt://[2001:db8::1]:1884", "[2001:db8::1]"},
		{"mqtt://:1883", NULL},
		{"broker.example", NULL},
		{"mqtt://a-name-that-is-longer-than-the-room-there-is.example", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char host[32];
		bool fine = address_host(cases[i][0], host, sizeof(host));

		assert_int_equal(fine, cases[i][1] != NULL);
		if (fine)
			assert_string_equal(host, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_get_the_port_of_their_scheme),
		cmocka_unit_test(the_host_is_what_a_certificate_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
