/* SPDX-License-Identifier: MIT */
#include "config/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const keys[] = {
	"driver", "port", "baud", "bits", "parity", "stop", "reply_timeout", "retries", "unit"};

static const struct {
	const char *word, *meant; /* NULL: nothing is near enough */
} cases[] = {
	{"buad", "baud"},
	{"Baud", "baud"},
	{"bauds", "baud"},
	{"pairty", "parity"},
	{"reply-timeout", "reply_timeout"},
	{"replytimeout", "reply_timeout"},
	{"timeout", "reply_timeout"},
	{"unti", "unit"},
	{"prot", "port"},
	{"drvr", "driver"},
	{"colour", NULL},
	{"x", NULL},
	{"no", NULL},
	{"", NULL},
	{"an_extraordinarily_long_word_that_nobody_would_ever_take_for_the_name_of_a_key", NULL},
};

static void nearest_key_is_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct suggestion s = suggest_for(cases[i].word);

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			suggest_try(&s, keys[k]);
		if ((s.best == NULL) != (cases[i].meant == NULL) || (s.best && strcmp(s.best, cases[i].meant) != 0))
			fail_msg("%s: %s, not %s", cases[i].word, s.best, cases[i].meant);
	}
}

static void distance_counts_single_slips(void **state)
{
	(void)state;
	assert_int_equal(suggest_distance("even", "even", 9), 0);
	assert_int_equal(suggest_distance("even", "EVEN", 9), 0);
	assert_int_equal(suggest_distance("even", "evne", 9), 1);
	assert_int_equal(suggest_distance("even", "eve", 9), 1);
	assert_int_equal(suggest_distance("even", "seven", 9), 1);
	assert_int_equal(suggest_distance("even", "odd", 9), 4);
	assert_int_equal(suggest_distance("", "abc", 9), 3);
	assert_int_equal(suggest_distance("kitten", "sitting", 9), 3);
	assert_int_equal(suggest_distance("even", "something else", 2), 3); /* past the limit: limit + 1 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearest_key_is_meant),
		cmocka_unit_test(distance_counts_single_slips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
