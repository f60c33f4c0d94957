/* SPDX-License-Identifier: MIT */
#include "config/mend.h"
#include "tests/lib/test.h"

#include <string.h>

static const struct {
	const char *text;
	int line;
	const char *left; /* NULL: nothing stood there */
} lines[] = {
	{"a: 1\nb = 2\nc: 3\n", 2, "a: 1\n     \nc: 3\n"},
	{"a:\n  b\n    c: 1\n\n    d: 2\n  e: 3\n", 2, "a:\n   \n        \n\n        \n  e: 3\n"},
	{"a: 1\r\n\tb\r\nc", 2, "a: 1\r\n  \r\nc"},
	{"a: [\n", 1, "    \n"},
	{"a\n\nb\n", 2, NULL},
	{"a\n", 3, NULL},
	{"", 1, NULL},
};

static void a_line_goes_with_what_is_indented_below_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		char text[64];

		strcpy(text, lines[i].text);
		assert_int_equal(mend_line(text, strlen(text), lines[i].line), lines[i].left != NULL);
		assert_string_equal(text, lines[i].left ? lines[i].left : lines[i].text);
	}
}

static const struct {
	const char *text, *mended;
	int lines;
} tabs[] = {
	{"a:\n  b: 1\n\tc: 2\n", "a:\n  b: 1\n  c: 2\n", 1},
	{"a:\n  b:\n    c: 1\n\td: 2\n", "a:\n  b:\n    c: 1\n    d: 2\n", 1},
	{"a:\n\tb:\n\t\tc: 1\n", "a:\n  b:\n    c: 1\n", 2},
	{"a:\n\tb: 1\n        c: 2\n", "a:\n        b: 1\n        c: 2\n", 1},
	{"a: 1\t# as a space\n\t\n", "a: 1\t# as a space\n\t\n", 0},
};

static void tabs_become_what_the_lines_around_them_have(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tabs); i++) {
		size_t len = strlen(tabs[i].text), room;
		char out[200];

		assert_int_equal(mend_count_tabs(tabs[i].text, len, &room), tabs[i].lines);
		assert_true(room < sizeof(out));
		len = mend_tabs(out, tabs[i].text, len);
		assert_true(len <= room);
		out[len] = '\0';
		assert_string_equal(out, tabs[i].mended);
	}
}

static const struct {
	struct mend m;
	const char *text, *mended;
} moves[] = {
	{{.first = 2, .last = 2, .by = 2, .only = 0}, "a:\nb: 1\n", "a:\n  b: 1\n"},
	{{.first = 1, .last = 3, .by = -2, .only = 2}, "  a:\n    b: 1\n  c: 2\n", "a:\n    b: 1\nc: 2\n"},
	{{.first = 1, .last = 2, .by = -2, .only = MEND_ALL}, "  - a: 1\n    b: 1\n  c", "- a: 1\n  b: 1\n  c"},
	{{.first = 1, .last = 2, .by = -4, .only = MEND_ALL}, "  a\n\nb\n", "a\n\nb\n"},
	{{.at = 1, .cut = 3, .with = ": "}, "a = 1\n", "a: 1\n"},
	{{.at = 1, .with = ":"}, "a", "a:"},
};

static void what_was_meant_is_put_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(moves); i++) {
		size_t len = strlen(moves[i].text), room = mend_room(&moves[i].m, len);
		char out[200];

		assert_in_range(room, 1, sizeof(out) - 1);
		len = mend_apply(out, &moves[i].m, moves[i].text, len);
		assert_true(len <= room);
		out[len] = '\0';
		assert_string_equal(out, moves[i].mended);
	}
}

static void nothing_known_is_nothing_done(void **state)
{
	const struct mend nothing = {0}, too_far = {.first = 1, .last = 2, .by = MEND_MAX_MOVE + 1};

	(void)state;
	assert_int_equal(mend_room(&nothing, 100), 0);
	assert_int_equal(mend_room(&too_far, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_goes_with_what_is_indented_below_it),
		cmocka_unit_test(tabs_become_what_the_lines_around_them_have),
		cmocka_unit_test(what_was_meant_is_put_right),
		cmocka_unit_test(nothing_known_is_nothing_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
