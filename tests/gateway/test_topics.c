/* SPDX-License-Identifier: MIT */
#include "gateway/topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct topic_words words = {"plant", "bus", "boiler-2", "flow"};

static void braces_are_replaced_and_the_rest_stays(void **state)
{
	static const struct {
		const char *template, *topic;
	} cases[] = {
		{"{site}/{line}/{device}/{point}", "plant/bus/boiler-2/flow"},
		{"x/{point}", "x/flow"},
		{"{device}{point}", "boiler-2flow"},
		{"none", "none"},
		{"{nothing}/a", ""},
		{"{site", ""},
		{"", ""},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = topic_expand(out, sizeof(out), cases[i].template, &words);

		assert_int_equal(len, strlen(cases[i].topic));
		if (len > 0)
			assert_string_equal(out, cases[i].topic);
	}
}

static void a_topic_longer_than_the_room_for_it_is_refused(void **state)
{
	char out[16];

	(void)state;
	for (size_t cap = 1; cap <= sizeof(out); cap++) /* "plant/flow" is ten and its end */
		assert_int_equal(topic_expand(out, cap, "{site}/{point}", &words), cap > 10 ? 10 : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(braces_are_replaced_and_the_rest_stays),
		cmocka_unit_test(a_topic_longer_than_the_room_for_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
