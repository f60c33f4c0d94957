/* SPDX-License-Identifier: MIT */
#include "bridge/peek.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct peek look(const char *text)
{
	struct peek p;

	peek(&p, text, strlen(text));
	return p;
}

static bool is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static void what_is_json_and_what_is_not(void **state)
{
	static const char *const json[] = {"1", " -0.5e+3 ", "\"a\\u00e9\\n\"", "true", "null", "[]", "[1,[2,{}]]",
		"{\"a\":{\"b\":[1,2]},\"c\":\"}\"}"};
	static const char *const none[] = {"", " ", "01", "1.", ".5", "+1", "1e", "nan", "NULL", "'a'", "\"a",
		"\"\\x\"", "[1,]", "[1 2]", "{\"a\"}", "{a:1}", "{\"a\":1,}", "1 2", "{}{}", "\"\n\"", "\xff",
		"\"\xff\""};

	(void)state;
	for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++)
		if (!look(json[i]).json)
			fail_msg("%s is JSON", json[i]);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (look(none[i]).json)
			fail_msg("%s is not JSON", none[i]);
}

static void value_and_quality_of_a_reading(void **state)
{
	struct peek p = look("{\"v\":23.4,\"t\":17,\"q\":\"good\"}");

	(void)state;
	assert_true(p.number && p.value == 23.4);
	assert_true(is(p.v, "23.4") && is(p.quality, "good"));
	p = look(" 7 ");
	assert_true(p.number && p.value == 7 && is(p.v, "7"));
	p = look("{\"v\":null,\"q\":\"bad\"}");
	assert_true(p.json && !p.number && is(p.v, "null") && is(p.quality, "bad"));
	p = look("{\"v\":\"open\"}");
	assert_true(!p.number && is(p.v, "\"open\""));
	p = look("{\"v\":1e999}");
	assert_true(p.json && !p.number);
}

static void only_the_first_member_of_the_outermost_object_counts(void **state)
{
	struct peek p = look("{\"in\":{\"v\":1},\"v\":2,\"v\":3}");

	(void)state;
	assert_true(p.number && p.value == 2);
	assert_int_equal(look("[{\"v\":1}]").number, 0);
}

static void nesting_is_bounded(void **state)
{
	char text[2 * PEEK_DEPTH + 3];

	(void)state;
	memset(text, '[', PEEK_DEPTH);
	memset(text + PEEK_DEPTH, ']', PEEK_DEPTH);
	text[2 * PEEK_DEPTH] = 0;
	assert_true(look(text).json);
	memset(text, '[', PEEK_DEPTH + 1);
	memset(text + PEEK_DEPTH + 1, ']', PEEK_DEPTH + 1);
	text[2 * PEEK_DEPTH + 2] = 0;
	assert_false(look(text).json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_json_and_what_is_not),
		cmocka_unit_test(value_and_quality_of_a_reading),
		cmocka_unit_test(only_the_first_member_of_the_outermost_object_counts),
		cmocka_unit_test(nesting_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
