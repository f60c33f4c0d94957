/* SPDX-License-Identifier: MIT */
#include "base/topic.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

static void names_and_filters_are_checked(void **state)
{
	static const struct {
		const char *text;
		enum topic_fault name, filter;
	} row[] = {
		{"a", TOPIC_OK, TOPIC_OK},
		{"/", TOPIC_OK, TOPIC_OK},
		{"//", TOPIC_OK, TOPIC_OK},
		{"/a", TOPIC_OK, TOPIC_OK},
		{"a/", TOPIC_OK, TOPIC_OK},
		{"a b/c", TOPIC_OK, TOPIC_OK},
		{"$SYS/x", TOPIC_OK, TOPIC_OK},
		{"\xef\xbb\xbf/a", TOPIC_OK, TOPIC_OK},
		{"", TOPIC_EMPTY, TOPIC_EMPTY},
		{"a/\xc0\xaf", TOPIC_BAD_UTF8, TOPIC_BAD_UTF8},
		{"a/\xed\xa0\x80", TOPIC_BAD_UTF8, TOPIC_BAD_UTF8},
		{"#", TOPIC_WILDCARD, TOPIC_OK},
		{"+", TOPIC_WILDCARD, TOPIC_OK},
		{"a/#", TOPIC_WILDCARD, TOPIC_OK},
		{"/#", TOPIC_WILDCARD, TOPIC_OK},
		{"+/a/#", TOPIC_WILDCARD, TOPIC_OK},
		{"/+", TOPIC_WILDCARD, TOPIC_OK},
		{"+/+", TOPIC_WILDCARD, TOPIC_OK},
		{"a/+/b", TOPIC_WILDCARD, TOPIC_OK},
		{"a#", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"a/#b", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"#/a", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"a/#/", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"##", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"a+", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"+a", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"a/b+/c", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"++", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
		{"+#", TOPIC_WILDCARD, TOPIC_BAD_WILDCARD},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		size_t len = strlen(row[i].text);

		ROW(row[i].text, topic_check_name(row[i].text, len) == row[i].name);
		ROW(row[i].text, topic_check_filter(row[i].text, len) == row[i].filter);
		assert_true(strlen(topic_fault_text(row[i].filter)) > 3);
	}
	assert_int_equal(topic_check_name("a\0b", 3), TOPIC_BAD_UTF8);
}

static void length_and_depth_are_bounded(void **state)
{
	static char text[TOPIC_MAX_LEN + 1];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(topic_check_name(text, TOPIC_MAX_LEN), TOPIC_OK);
	assert_int_equal(topic_check_name(text, TOPIC_MAX_LEN + 1), TOPIC_TOO_LONG);
	memset(text, '/', sizeof(text));
	assert_int_equal(topic_check_name(text, TOPIC_MAX_LEVELS - 1), TOPIC_OK);
	assert_int_equal(topic_check_name(text, TOPIC_MAX_LEVELS), TOPIC_TOO_DEEP);
	assert_int_equal(topic_check_filter(text, TOPIC_MAX_LEVELS - 1), TOPIC_OK);
	assert_int_equal(topic_check_filter(text, TOPIC_MAX_LEN), TOPIC_TOO_DEEP);
}

static void filters_match_names_as_in_section_4_7(void **state)
{
	static const struct {
		const char *filter, *name;
		bool matches;
	} row[] = {
		{"a", "a", true},
		{"a", "b", false},
		{"a", "A", false},
		{"a", "ab", false},
		{"ab", "a", false},
		{"a", "a/", false},
		{"a/", "a", false},
		{"/a", "a", false},
		{"a", "/a", false},
		{"/a", "/a", true},
		{"a/b/c", "a/b/c", true},
		{"a/b", "a/b/c", false},
		{"a/b/c", "a/b", false},
		{"#", "a", true},
		{"#", "/", true},
		{"#", "a/b/c", true},
		{"a/#", "a", true},
		{"a/#", "a/", true},
		{"a/#", "a/b", true},
		{"a/#", "a/b/c/d", true},
		{"a/#", "ab", false},
		{"a/#", "ab/c", false},
		{"a/b/#", "a", false},
		{"/#", "a", false},
		{"/#", "/a", true},
		{"/#", "/", true},
		{"+", "a", true},
		{"+", "/a", false},
		{"+", "a/b", false},
		{"/+", "/a", true},
		{"/+", "/", true},
		{"+/+", "/a", true},
		{"+/+", "/", true},
		{"+/+", "a", false},
		{"a/+", "a", false},
		{"a/+", "a/", true},
		{"a/+", "a/b", true},
		{"a/+", "a/b/c", false},
		{"a/+/c", "a/b/c", true},
		{"a/+/c", "a//c", true},
		{"a/+/c", "a/b/d", false},
		{"a/+/#", "a", false},
		{"a/+/#", "a/b", true},
		{"+/b/#", "a/b", true},
		{"a//b", "a//b", true},
		{"a//b", "a/b", false},
		{"#", "$SYS/x", false},
		{"+/x", "$SYS/x", false},
		{"+", "$x", false},
		{"$SYS/#", "$SYS/x", true},
		{"$SYS/+", "$SYS/x", true},
		{"$SYS/#", "$SYS", true},
		{"a/#", "a/$b", true},
		{"a/+", "a/$b", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s on %s", row[i].filter, row[i].name);
		ROW(name, topic_matches(row[i].filter, strlen(row[i].filter), row[i].name, strlen(row[i].name)) ==
				  row[i].matches);
	}
}

/* Every name over a small alphabet, and every filter over it: what covers says must be what matching shows. */
enum { ALL = 400, TEXT = 16 };

static size_t all_texts(char out[ALL][TEXT], const char *const *level, size_t levels)
{
	size_t n = 0;

	for (size_t a = 0; a < levels; a++) {
		snprintf(out[n++], TEXT, "%s", level[a]);
		for (size_t b = 0; b < levels; b++) {
			snprintf(out[n++], TEXT, "%s/%s", level[a], level[b]);
			for (size_t c = 0; c < levels; c++)
				snprintf(out[n++], TEXT, "%s/%s/%s", level[a], level[b], level[c]);
		}
	}
	return n;
}

static bool covers_by_trial(const char *outer, const char *inner, char name[ALL][TEXT], size_t names)
{
	for (size_t i = 0; i < names; i++) {
		size_t len = strlen(name[i]);

		if (len > 0 && topic_matches(inner, strlen(inner), name[i], len) &&
			!topic_matches(outer, strlen(outer), name[i], len))
			return false;
	}
	return true;
}

static void covers_says_what_matching_every_name_shows(void **state)
{
	static const char *const name_level[] = {"", "a", "$c", "z", "y"};
	static const char *const filter_level[] = {"", "a", "$c", "+", "#"};
	static char name[ALL][TEXT], filter[ALL][TEXT];
	size_t names = all_texts(name, name_level, COUNT(name_level));
	size_t filters = all_texts(filter, filter_level, COUNT(filter_level));
	size_t used = 0;

	(void)state;
	for (size_t i = 0; i < filters; i++)
		if (topic_check_filter(filter[i], strlen(filter[i])) == TOPIC_OK)
			memmove(filter[used++], filter[i], TEXT);
	assert_true(used > 60);
	for (size_t i = 0; i < used; i++)
		for (size_t k = 0; k < used; k++) {
			bool said = topic_covers(filter[i], strlen(filter[i]), filter[k], strlen(filter[k]));

			/* names have at most three levels: a # below that depth cannot be told from its absence */
			if (said && !covers_by_trial(filter[i], filter[k], name, names))
				fail_msg("%s does not cover %s", filter[i], filter[k]);
			if (!said && !strchr(filter[k], '#') && covers_by_trial(filter[i], filter[k], name, names))
				fail_msg("%s covers %s", filter[i], filter[k]);
		}
	assert_true(topic_covers("#", 1, "#", 1));
	assert_true(topic_covers("+/#", 3, "#", 1));
	assert_true(topic_covers("a/#", 3, "a/#", 3));
	assert_true(topic_covers("a/#", 3, "a/+/#", 5));
	assert_false(topic_covers("a/+/#", 5, "a/#", 3));
	assert_false(topic_covers("+/+/#", 5, "#", 1));
	assert_false(topic_covers("#", 1, "$SYS/#", 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_filters_are_checked),
		cmocka_unit_test(length_and_depth_are_bounded),
		cmocka_unit_test(filters_match_names_as_in_section_4_7),
		cmocka_unit_test(covers_says_what_matching_every_name_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
