/* SPDX-License-Identifier: MIT */
#include "bridge/refer.h"
#include "tests/lib/test.h"

static const char *list[] = {"mqtts://a.example", "mqtt://b.example:1999", "wss://c.example/mqtt"};

static void a_reference_is_followed_where_it_is_safe(void **state)
{
	static const struct {
		const char *from, *reference;
		int redirect;
		bool verify;
		const char *to; /* NULL: not */
	} cases[] = {
		/* over TLS that is verified, anywhere */
		{"mqtts://a.example", "x.example", BRIDGE_REDIRECT_VERIFIED, true, "mqtts://x.example"},
		{"mqtts://a.example:443", "x.example:8884", BRIDGE_REDIRECT_VERIFIED, true, "mqtts://x.example:8884"},
		{"wss://c.example/mqtt", "x.example:444 y.example", BRIDGE_REDIRECT_VERIFIED, true,
			"wss://x.example:444/mqtt"},
		{"mqtts://a.example", "[2001:db8::1]:8883", BRIDGE_REDIRECT_VERIFIED, true,
			"mqtts://[2001:db8::1]:8883"},
		/* and nowhere else, */
		{"mqtt://b.example:1999", "x.example", BRIDGE_REDIRECT_VERIFIED, true, NULL},
		{"mqtts://a.example", "x.example", BRIDGE_REDIRECT_VERIFIED, false, NULL},
		{"mqtts://a.example", "x.example", BRIDGE_REDIRECT_LISTED, true, NULL},
		{"mqtts://a.example", "a.example", BRIDGE_REDIRECT_NEVER, true, NULL},
		/* but to what the configuration names */
		{"mqtt://z.example", "b.example:1999", BRIDGE_REDIRECT_VERIFIED, true, "mqtt://b.example:1999"},
		{"mqtts://z.example", "a.example:8883", BRIDGE_REDIRECT_LISTED, false, "mqtts://a.example:8883"},
		{"mqtt://z.example", "a.example", BRIDGE_REDIRECT_LISTED, true,
			NULL}, /* which is there with TLS only */
		/* no name of a host */
		{"mqtts://a.example", "", BRIDGE_REDIRECT_VERIFIED, true, NULL},
		{"mqtts://a.example", "  ", BRIDGE_REDIRECT_VERIFIED, true, NULL},
		{"mqtts://a.example", ":8883", BRIDGE_REDIRECT_VERIFIED, true, NULL},
		{"mqtts://a.example", "user@x.example", BRIDGE_REDIRECT_VERIFIED, true, NULL},
		{"mqtts://a.example", "mqtt://x.example", BRIDGE_REDIRECT_VERIFIED, true, NULL},
		{"mqtts://a.example", "x.example/../y", BRIDGE_REDIRECT_VERIFIED, true, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bridge_opts o = {.address = {list, COUNT(list)}, .redirect = cases[i].redirect};
		char to[64];
		int r;

		o.tls.verify = cases[i].verify;
		r = refer_address(&o, cases[i].from, cases[i].reference, to, sizeof(to));
		if (cases[i].to)
			assert_int_equal(r, 0);
		else
			assert_true(r > 0);
		if (r == 0)
			assert_string_equal(to, cases[i].to);
	}
}

static void what_does_not_fit_is_not_followed(void **state)
{
	struct bridge_opts o = {.address = {list, COUNT(list)}};
	char to[20];

	(void)state;
	o.tls.verify = true;
	assert_int_equal(
		refer_address(&o, "mqtts://a.example", "far-away.example:8883", to, sizeof(to)), REFER_UNCLEAR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reference_is_followed_where_it_is_safe),
		cmocka_unit_test(what_does_not_fit_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
