/* SPDX-License-Identifier: MIT */
#include "config/columns.h"
#include "tests/lib/test.h"

#include <string.h>

enum which { VALUE, KEY, ENTRY, FILE_BEGIN };

/* What libyaml complains of: the line, and where the block began that it does not go with. */
static const struct {
	const char *name, *text;
	enum which which;
	int line, block;
	int blamed, by, last; /* 0: nobody */
} rows[] = {
	{"one key of a map slid to the right", "a:\n  b: 1\n    c: 2\n  d: 3\n", VALUE, 3, 0, 3, -2, 3},
	{"the key before it slid to the left, among others", "x:\n  a:\n    b: 1\n  c: 2\n    d: 3\n    e: 4\n", VALUE,
		5, 0, 4, 2, 4},
	{"the first key of a map slid to the left", "a:\n b: 1\n  c: 2\n  d: 3\n", VALUE, 3, 0, 2, 1, 2},
	{"a parent slid to the right, alone", "a:\n  b: 1\n    c:\n    d: 3\n  e: 4\n", VALUE, 3, 0, 3, -2, 3},
	{"a parent slid to the right with its keys", "a:\n  b: 1\n    c:\n      d: 3\n  e: 4\n", VALUE, 3, 0, 3, -2, 4},
	{"the first key after a bare one, in the first column", "a:\nb: 1\n  c: 2\n", VALUE, 3, 0, 2, 2, 2},
	{"a line as far to the left is no value", "a: 1\nb: 2\n", VALUE, 2, 0, 0, 0, 0},
	{"the first key of a map slid to the right", "a:\n    b: 1\n  c: 2\n  d: 3\n", KEY, 3, 1, 2, -2, 2},
	{"one key of a map slid to the left", "a:\n    b: 1\n    c: 2\n  d: 3\n    e: 4\n", KEY, 4, 1, 4, 2, 4},
	{"a name slid to the left", "a:\n b:\n    c: 1\n  d:\n    e: 1\n  f:\n    g: 1\n", KEY, 4, 2, 2, 1, 2},
	{"a part of the file slid to the right", "a:\n  b: 1\n  c: 1\n d:\n  e: 2\n", KEY, 4, 1, 4, -1, 5},
	{"an entry slid to the right with its keys", "a:\n  - b: 1\n  - b: 2\n    - b: 3\n      c: 4\n", ENTRY, 4, 3, 4,
		-2, 5},
	{"an entry slid to the right, and its keys did not", "a:\n  - b: 1\n  - b: 2\n   - b: 3\n    c: 4\n", ENTRY, 4,
		3, 4, -1, 4},
	{"no entry", "a:\n  - b: 1\n    c\n", ENTRY, 3, 3, 0, 0, 0},
	{"the first line of the file slid to the right", " a: 1\nb: 2\n", FILE_BEGIN, 2, 0, 1, -1, 1},
	{"comments and empty lines stand anywhere", "  # c\n\n a: 1\n# c\nb: 2\n", FILE_BEGIN, 5, 0, 3, -1, 4},
	{"the first line stands where it should", "a: 1\n...\nb: 2\n", FILE_BEGIN, 3, 0, 0, 0, 0},
	{"past the end", "a: 1\n", VALUE, 9, 0, 0, 0, 0},
};

static bool blame(struct mend *m, size_t i)
{
	size_t len = strlen(rows[i].text);

	switch (rows[i].which) {
	case VALUE: return columns_of_value(m, rows[i].text, len, rows[i].line);
	case KEY: return columns_of_key(m, rows[i].text, len, rows[i].line, rows[i].block);
	case ENTRY: return columns_of_entry(m, rows[i].text, len, rows[i].line, rows[i].block);
	case FILE_BEGIN: return columns_of_file(m, rows[i].text, len, rows[i].line);
	}
	return false;
}

static void the_line_that_stands_out_is_blamed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mend m = {0};
		bool found = blame(&m, i);

		if (found != (rows[i].blamed != 0) ||
			(found && (m.first != rows[i].blamed || m.by != rows[i].by || m.last != rows[i].last)))
			fail_msg("%s: line %d by %d, to %d", rows[i].name, m.first, m.by, m.last);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_that_stands_out_is_blamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
