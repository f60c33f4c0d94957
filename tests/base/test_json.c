/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void objects_and_lists_nest_with_commas_between(void **state)
{
	char buf[128];
	size_t len;
	struct json j = json_on(buf, sizeof(buf));

	(void)state;
	json_open(&j, '{');
	json_key(&j, "a");
	json_int(&j, -1);
	json_key(&j, "b");
	json_open(&j, '[');
	json_bool(&j, true);
	json_null(&j);
	json_open(&j, '{');
	json_close(&j, '}');
	json_close(&j, ']');
	json_key(&j, "c");
	json_str(&j, NULL);
	json_close(&j, '}');
	len = json_done(&j); /* terminates buf: before anything reads it */
	assert_int_equal(len, strlen(buf));
	assert_string_equal(buf, "{\"a\":-1,\"b\":[true,null,{}],\"c\":null}");
}

static void reals_are_the_shortest_text_that_reads_back(void **state)
{
	static const struct {
		double v;
		const char *text;
	} cases[] = {
		{0.1, "0.1"},
		{23.4, "23.4"},
		{1e300, "1e+300"},
		{-0.0, "-0"},
		{1.0 / 3, "0.3333333333333333"},
		{9007199254740993.0, "9007199254740992"},
		{INFINITY, "null"},
		{-INFINITY, "null"},
		{NAN, "null"},
	};
	char buf[40];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json j = json_on(buf, sizeof(buf));

		json_real(&j, cases[i].v);
		assert_true(json_done(&j) > 0);
		assert_string_equal(buf, cases[i].text);
	}
}

static void a_float_is_not_shown_with_the_digits_of_a_double(void **state)
{
	char buf[40];
	struct json j = json_on(buf, sizeof(buf));

	(void)state;
	json_real32(&j, 23.4f);
	json_done(&j);
	assert_string_equal(buf, "23.4");
	j = json_on(buf, sizeof(buf));
	json_real32(&j, 16777217.0f);
	json_done(&j);
	assert_string_equal(buf, "16777216");
}

static void text_is_escaped_and_bad_bytes_are_replaced(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} cases[] = {
		{"plain", 5, "\"plain\""},
		{"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
		{"\n\0", 2, "\"\\u000a\\u0000\""},
		{"\xc2\xb0"
		 "C",
			3,
			"\"\xc2\xb0"
			"C\""},
		{"x\xff", 2, "\"x\xef\xbf\xbd\""},
		{"\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
		{"", 0, "\"\""},
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json j = json_on(buf, sizeof(buf));

		json_text(&j, cases[i].in, cases[i].len);
		assert_true(json_done(&j) > 0);
		assert_string_equal(buf, cases[i].out);
	}
}

static void what_does_not_fit_is_nothing_at_all(void **state)
{
	char buf[8];

	(void)state;
	for (size_t cap = 1; cap <= sizeof(buf); cap++) {
		struct json j = json_on(buf, cap);

		json_str(&j, "12345");
		assert_int_equal(json_done(&j), cap >= 8 ? 7 : 0);
		assert_string_equal(buf, cap >= 8 ? "\"12345\"" : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_lists_nest_with_commas_between),
		cmocka_unit_test(reals_are_the_shortest_text_that_reads_back),
		cmocka_unit_test(a_float_is_not_shown_with_the_digits_of_a_double),
		cmocka_unit_test(text_is_escaped_and_bad_bytes_are_replaced),
		cmocka_unit_test(what_does_not_fit_is_nothing_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
