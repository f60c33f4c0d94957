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

static void lines_indented_by_tabs_go_and_are_counted(void **state)
{
	char text[] = "a:\n\tb: 1\n  \tc: 2\n  d:\t3\n\t\n";

	(void)state;
	assert_int_equal(mend_tabs(text, strlen(text)), 2);
	assert_string_equal(text, "a:\n     \n       \n  d:\t3\n\t\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_goes_with_what_is_indented_below_it),
		cmocka_unit_test(lines_indented_by_tabs_go_and_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
