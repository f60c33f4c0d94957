/* SPDX-License-Identifier: MIT */
#include "broker/proxy.h"
#include "tests/lib/test.h"

#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static void headers_say_who_is_behind_the_balancer(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int result;
		size_t need;
		const char *address;
	} cases[] = {
		{SIGNATURE "\x21\x11\0\x0c\xc0\0\2\7\x0a\0\0\1\x12\x67\x07\x5b", 28, 0, 28, "192.0.2.7:4711"},
		{SIGNATURE "\x21\x11\0\x0f\xc0\0\2\7\x0a\0\0\1\x12\x67\x07\x5b\x04\0\0", 31, 0, 31, "192.0.2.7:4711"},
		{SIGNATURE "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"
			   "\x12\x67\x07\x5b",
			52, 0, 52, "[2001:db8::1]:4711"},
		{SIGNATURE "\x21\0\0\0", 16, 0, 16, ""},           /* AF_UNSPEC */
		{SIGNATURE "\x20\0\0\0", 16, PROXY_LOCAL, 16, ""}, /* a health check */
		{SIGNATURE "\x21\x11\0\x0c", 16, PROXY_SHORT, 28, ""},
		{SIGNATURE, 12, PROXY_SHORT, 16, ""},
		{"", 0, PROXY_SHORT, 16, ""},
		{"\r\n\r\n\0\r\nQUIX", 11, PROXY_BAD, 16, ""},
		{"PROXY TCP4 192.0", 16, PROXY_BAD, 16, ""}, /* version 1 */
		{"\x10\x0c\0\4MQTT", 8, PROXY_BAD, 16, ""},  /* no header at all */
		{SIGNATURE "\x11\x11\0\x0c", 16, PROXY_BAD, 28, ""},
		{SIGNATURE "\x22\x11\0\x0c", 16, PROXY_BAD, 28, ""},
		{SIGNATURE "\x21\x11\0\4\xc0\0\2\7", 20, PROXY_BAD, 20, ""}, /* too short for its family */
		{SIGNATURE "\x21\x11\xff\xff", 16, PROXY_BAD, 16 + 0xffff, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char address[PROXY_ADDRESS];
		size_t need;
		int r = proxy_decode((const uint8_t *)cases[i].bytes, cases[i].len, &need, address);

		if (r != cases[i].result || need != cases[i].need || strcmp(address, cases[i].address) != 0)
			fail_msg("case %zu: %d, %zu, %s", i, r, need, address);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(headers_say_who_is_behind_the_balancer)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
