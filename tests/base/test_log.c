/* SPDX-License-Identifier: MIT */
/* stderr is a file for the length of a test, so that what was written can be read back. */
#include "base/log.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char caught[8192];

struct capture {
	FILE *file;
	int saved;
};

static struct capture capture_start(void)
{
	struct capture c = {tmpfile(), dup(STDERR_FILENO)};

	assert_non_null(c.file);
	assert_true(c.saved >= 0);
	assert_int_equal(dup2(fileno(c.file), STDERR_FILENO), STDERR_FILENO);
	return c;
}

static const char *capture_end(struct capture *c)
{
	size_t n;

	assert_int_equal(dup2(c->saved, STDERR_FILENO), STDERR_FILENO);
	close(c->saved);
	rewind(c->file);
	n = fread(caught, 1, sizeof(caught) - 1, c->file);
	caught[n] = 0;
	fclose(c->file);
	return caught;
}

static void values_are_bare_when_plain_and_quoted_otherwise(void **state)
{
	static const struct {
		const char *name;
		const char *in;
		size_t len;
		const char *out;
	} row[] = {
		{"plain", "boiler-2", 8, "boiler-2"},
		{"empty", "", 0, "\"\""},
		{"space", "a b", 3, "\"a b\""},
		{"equals sign", "a=b", 3, "\"a=b\""},
		{"quote", "a\"b", 3, "\"a\\\"b\""},
		{"backslash", "a\\b", 3, "\"a\\\\b\""},
		{"newline", "a\nstate=up", 10, "\"a\\x0astate=up\""},
		{"NUL", "a\0b", 3, "\"a\\x00b\""},
		{"escape sequence", "\x1b[31m", 5, "\"\\x1b[31m\""},
		{"delete", "\x7f", 1, "\"\\x7f\""},
		{"control character of two bytes",
			"\xc2\x9b"
			"2J",
			4, "\"\\xc2\\x9b2J\""},
		{"from right to left", "\xe2\x80\xaegnp", 6, "\"\\xe2\\x80\\xaegnp\""},
		{"isolated", "a\xe2\x81\xa6", 4, "\"a\\xe2\\x81\\xa6\""},
		{"of no width",
			"a\xe2\x80\x8b"
			"b",
			5, "\"a\\xe2\\x80\\x8bb\""},
		{"dash", "a\xe2\x80\x93", 4, "a\xe2\x80\x93"},
		{"cut within", "a\xe2\x80", 3, "a\xe2\x80"},
		{"UTF-8",
			"\xc2\xb0"
			"C",
			3,
			"\xc2\xb0"
			"C"},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		ROW(row[i].name, strcmp(log_text(out, sizeof(out), row[i].in, row[i].len), row[i].out) == 0);
}

static void values_never_leave_their_buffer(void **state)
{
	static const char *const in[] = {"aaaaaaaaaaaaaaaaaaaaaaaa", "\n\n\n\n\n\n\n\n\n\n\n\n", "a b c d e f g h i j",
		"\"\"\"\"\"\"\"\"\"\"\"\""};

	(void)state;
	for (size_t i = 0; i < COUNT(in); i++)
		for (size_t cap = 1; cap < 40; cap++) {
			char out[64];

			memset(out, 0x55, sizeof(out));
			log_text(out, cap, in[i], strlen(in[i]));
			assert_non_null(memchr(out, 0, cap));
			for (size_t k = cap; k < sizeof(out); k++)
				assert_int_equal(out[k], 0x55);
		}
}

static void only_wanted_levels_are_written(void **state)
{
	struct capture c = capture_start();
	const char *text;

	(void)state;
	log_set_level(LOG_WARN);
	log_error("what=one");
	log_warn("what=two");
	log_info("what=three");
	log_debug("what=four");
	log_set_level(LOG_DEBUG);
	log_debug("what=five");
	log_set_level(LOG_INFO);
	text = capture_end(&c);
	assert_non_null(strstr(text, "error what=one\n"));
	assert_non_null(strstr(text, "warn  what=two\n"));
	assert_null(strstr(text, "three"));
	assert_null(strstr(text, "four"));
	assert_non_null(strstr(text, "debug what=five\n"));
}

static void the_journal_gets_priorities_and_no_time(void **state)
{
	struct capture c = capture_start();
	char stream[64];
	const char *text;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_error("a=1");
	log_warn("b=2");
	log_info("c=3");
	unsetenv("JOURNAL_STREAM");
	text = capture_end(&c);
	assert_string_equal(text, "<3>a=1\n<4>b=2\n<6>c=3\n");
}

/* A shell in a terminal that a service has started has the variable, and its stderr is the terminal. */
static void the_journal_of_somebody_else_is_not_ours(void **state)
{
	static const char *const streams[] = {"8:1", "", "8", "none"};

	(void)state;
	for (size_t i = 0; i < COUNT(streams); i++) {
		struct capture c = capture_start();

		setenv("JOURNAL_STREAM", streams[i], 1);
		log_error("a=1");
		unsetenv("JOURNAL_STREAM");
		ROW(streams[i], strstr(capture_end(&c), "Z error a=1\n") != NULL);
	}
}

static void a_line_too_long_is_cut_and_still_ends(void **state)
{
	static char long_text[5000];
	struct capture c = capture_start();
	const char *text;
	size_t len;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	log_info("text=%s", long_text);
	text = capture_end(&c);
	len = strlen(text);
	assert_in_range(len, 2000, 2048);
	assert_int_equal(text[len - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_bare_when_plain_and_quoted_otherwise),
		cmocka_unit_test(values_never_leave_their_buffer),
		cmocka_unit_test(only_wanted_levels_are_written),
		cmocka_unit_test(the_journal_gets_priorities_and_no_time),
		cmocka_unit_test(the_journal_of_somebody_else_is_not_ours),
		cmocka_unit_test(a_line_too_long_is_cut_and_still_ends),
	};

	unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
