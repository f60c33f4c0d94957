/* SPDX-License-Identifier: MIT */
#include "gateway/csv.h"

#include "tests/lib/test.h"

#include <stdio.h>

/* Rows as "line|cell|cell". */
static void check(const char *text, const char *const *want)
{
	char copy[200], *cells[CSV_CELLS];
	struct csv c;
	size_t n;

	snprintf(copy, sizeof(copy), "%s", text);
	csv_init(&c, copy);
	while ((n = csv_row(&c, cells)) > 0) {
		char row[200];
		int len = snprintf(row, sizeof(row), "%d", c.line);

		for (size_t i = 0; i < n; i++)
			len += snprintf(row + len, sizeof(row) - (size_t)len, "|%s", cells[i]);
		assert_non_null(*want);
		assert_string_equal(row, *want++);
	}
	assert_null(*want);
}

static void rows_become_cells(void **state)
{
	static const struct {
		const char *text, *want[5];
	} cases[] = {
		{"a,b\n1,2\n", {"1|a|b", "2|1|2"}},
		{"a;b\r\n1;0,5\r\n", {"1|a|b", "2|1|0,5"}},
		{"a\tb\n\"x\ty\"\t2", {"1|a|b", "2|x\ty|2"}},
		{"\xef\xbb\xbf"
		 "a,b\n",
			{"1|a|b"}},
		{"a,b\n\n , \n3,\"say \"\"x\"\"\"\n", {"1|a|b", "4|3|say \"x\""}},
		{"a,\"two\nlines\",c\nnext,,\n", {"1|a|two\nlines|c", "3|next||"}},
		{"a,\"never closed", {"1|a|never closed"}},
		{"", {NULL}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check(cases[i].text, cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_become_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
