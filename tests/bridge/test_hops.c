/* SPDX-License-Identifier: MIT */
/* Messages that come round: by the gateways they passed, and by what was just sent. */
#include "bridge/echo.h"
#include "bridge/hops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static size_t put(uint8_t *out, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value), at = 0;

	out[at++] = 0x26;
	out[at++] = 0;
	out[at++] = (uint8_t)n;
	memcpy(out + at, name, n);
	at += n;
	out[at++] = 0;
	out[at++] = (uint8_t)v;
	memcpy(out + at, value, v);
	return at + v;
}

static void our_own_name_is_found_among_others(void **state)
{
	uint8_t props[256] = {0x01, 1, 0x03, 0, 4, 't', 'e', 'x', 't'};
	size_t len = 9;

	(void)state;
	len += put(props + len, "weir-hop", "a");
	len += put(props + len, "other", "plant");
	assert_false(hops_passed(props, len, "plant"));
	assert_true(hops_passed(props, len, "a"));
	len += put(props + len, "weir-hop", "plant");
	assert_true(hops_passed(props, len, "plant"));
	assert_false(hops_passed(props, len - 1, "plant")); /* cut short */
	assert_false(hops_passed(props, len, "plan"));
	assert_false(hops_passed(NULL, 0, "plant"));
}

static void there_are_never_more_than_so_many(void **state)
{
	uint8_t props[256];
	char name[4];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < HOPS_MAX; i++) {
		assert_false(hops_passed(props, len, "plant"));
		snprintf(name, sizeof(name), "g%d", i);
		len += put(props + len, "weir-hop", name);
	}
	assert_true(hops_passed(props, len, "plant"));
}

static void an_echo_is_taken_once_and_in_its_time(void **state)
{
	struct echo *e;

	(void)state;
	assert_int_equal(echo_new(&e), 0);
	echo_sent(e, "a/b", 3, "payload", 7, 5000);
	assert_false(echo_is(e, "a/b", 3, "payloaD", 7, 5001));
	assert_false(echo_is(e, "a/", 2, "bpayload", 8, 5001));
	assert_true(echo_is(e, "a/b", 3, "payload", 7, 5001));
	assert_false(echo_is(e, "a/b", 3, "payload", 7, 5001));
	echo_sent(e, "a/b", 3, "payload", 7, 5000);
	assert_false(echo_is(e, "a/b", 3, "payload", 7, 5000 + ECHO_MS + 200));
	echo_sent(e, "x", 1, "1", 1, 20000); /* twice the same: two echoes */
	echo_sent(e, "x", 1, "1", 1, 20001);
	assert_true(echo_is(e, "x", 1, "1", 1, 20002));
	assert_true(echo_is(e, "x", 1, "1", 1, 20002));
	assert_false(echo_is(e, "x", 1, "1", 1, 20002));
	echo_free(e);
}

static void a_full_window_of_echoes_is_known(void **state)
{
	struct echo *e;
	char text[16];
	int known = 0;

	(void)state;
	assert_int_equal(echo_new(&e), 0);
	for (int i = 0; i < 40000; i++) { /* more than there is room for, of which the last count */
		int n = snprintf(text, sizeof(text), "%d", i);

		echo_sent(e, "t", 1, text, (size_t)n, 1000 + i / 100);
	}
	for (int i = 39000; i < 40000; i++) {
		int n = snprintf(text, sizeof(text), "%d", i);

		known += echo_is(e, "t", 1, text, (size_t)n, 1400);
	}
	assert_in_range(known, 990, 1000); /* some had nine neighbours since */
	echo_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_name_is_found_among_others),
		cmocka_unit_test(there_are_never_more_than_so_many),
		cmocka_unit_test(an_echo_is_taken_once_and_in_its_time),
		cmocka_unit_test(a_full_window_of_echoes_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
