/* SPDX-License-Identifier: MIT */
#include "bench.h"

static void add(struct bench *b, enum report_kind kind, const char *file, int line, int column, const char *text)
{
	report_add(b->report, kind, (struct key_mark){file, line, column}, "a.b", "%s", text);
}

static void mistakes_come_in_the_order_of_the_files(void **state)
{
	struct bench b;

	(void)state;
	bench_set(&b);
	add(&b, REPORT_FAULT, "b.yaml", 1, 1, "four");
	add(&b, REPORT_FAULT, "a.yaml", 10, 1, "three");
	add(&b, REPORT_FAULT, "a.yaml", 2, 7, "two");
	add(&b, REPORT_FAULT, "a.yaml", 2, 3, "one");
	assert_string_equal(bench_said(&b), "a.yaml:2:3: a.b: one\na.yaml:2:7: a.b: two\na.yaml:10:1: a.b: three\n"
					    "b.yaml:1:1: a.b: four\n");
	bench_clear(&b);
}

static void same_sentence_at_the_same_place_is_told_once(void **state)
{
	struct bench b;

	(void)state;
	bench_set(&b);
	for (int i = 0; i < 40; i++)
		add(&b, REPORT_FAULT, "a.yaml", 2, 3, "wrong");
	add(&b, REPORT_FAULT, "a.yaml", 2, 3, "wrong in another way");
	assert_string_equal(bench_said(&b), "a.yaml:2:3: a.b: wrong (and at 39 more places)\n"
					    "a.yaml:2:3: a.b: wrong in another way\n");
	assert_int_equal(report_count(b.report, REPORT_FAULT), 41);
	bench_clear(&b);
}

static void advice_waits_until_there_are_no_mistakes(void **state)
{
	struct bench b;

	(void)state;
	bench_set(&b);
	add(&b, REPORT_ADVICE, "a.yaml", 1, 1, "better");
	assert_string_equal(bench_said(&b), "a.yaml:1:1: advice: a.b: better\n");
	add(&b, REPORT_FAULT, "a.yaml", 2, 1, "wrong");
	assert_string_equal(bench_said(&b), "a.yaml:2:1: a.b: wrong\n");
	bench_clear(&b);
}

static void what_is_not_shown_is_counted(void **state)
{
	struct bench b;

	(void)state;
	bench_set(&b);
	for (int i = 0; i < REPORT_CAP + 500; i++)
		add(&b, REPORT_FAULT, "a.yaml", i + 1, 1, "wrong");
	assert_true(report_full(b.report));
	assert_int_equal(report_count(b.report, REPORT_FAULT), REPORT_CAP + 500);
	assert_non_null(strstr(bench_said(&b), "a.yaml:100:1: a.b: wrong\n... and 2400 more mistakes\n"));
	bench_clear(&b);
}

static void place_without_a_line_or_a_file_is_left_out(void **state)
{
	struct bench b;

	(void)state;
	bench_set(&b);
	report_add(b.report, REPORT_FAULT, (struct key_mark){"a.yaml", 0, 0}, "", "cannot be read");
	report_add(b.report, REPORT_FAULT, (struct key_mark){NULL, 0, 0}, "store", "is odd");
	assert_string_equal(bench_said(&b), "store: is odd\na.yaml: cannot be read\n");
	bench_clear(&b);
}

static void output_that_cannot_be_written_is_an_error(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct bench b;

	(void)state;
	bench_set(&b);
	add(&b, REPORT_FAULT, "a.yaml", 1, 1, "wrong");
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_true(report_print(b.report, full) < 0);
	fclose(full);
	bench_clear(&b);
}

static void quoted_text_cannot_reach_the_terminal(void **state)
{
	char exact[200];
	struct node_quote q;
	struct bench b;

	(void)state;
	bench_set(&b);
	add(&b, REPORT_FAULT, "a\x1b.yaml", 1, 1, "\x1b[2J\n\xc2\x9b \xc2\xb0");
	assert_string_equal(bench_said(&b), "a\\x1b.yaml:1:1: a.b: \\x1b[2J\\x0a\\u009b \xc2\xb0\n");
	bench_clear(&b);
	assert_string_equal(node_quote(&q, "a\x1b[2J\n\t\x7f\xc2\x9b"), "`a\\x1b[2J\\n\\t\\x7f\\u009b`");
	assert_string_equal(node_quote(&q, "\xc2\xb0"
					   "C"),
		"`\xc2\xb0"
		"C`");
	memset(exact, 'x', sizeof(exact) - 1);
	exact[sizeof(exact) - 1] = '\0';
	assert_int_equal(strlen(node_quote(&q, exact)), NODE_QUOTE_CAP - 1);
	assert_string_equal(q.text + NODE_QUOTE_CAP - 6, "x...`");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_come_in_the_order_of_the_files),
		cmocka_unit_test(same_sentence_at_the_same_place_is_told_once),
		cmocka_unit_test(advice_waits_until_there_are_no_mistakes),
		cmocka_unit_test(what_is_not_shown_is_counted),
		cmocka_unit_test(place_without_a_line_or_a_file_is_left_out),
		cmocka_unit_test(output_that_cannot_be_written_is_an_error),
		cmocka_unit_test(quoted_text_cannot_reach_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
