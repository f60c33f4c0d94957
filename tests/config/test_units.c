/* SPDX-License-Identifier: MIT */
#include "config/units.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct unit_case {
	const char *text;
	int result;
	int64_t value;
	const char *fix;
};

static const struct unit_case times[] = {
	{"0", 0, 0, ""},
	{"0s", 0, 0, ""},
	{"200ms", 0, 200, ""},
	{"5s", 0, 5000, ""},
	{"1.5s", 0, 1500, ""},
	{"0.001s", 0, 1, ""},
	{"10m", 0, 600000, ""},
	{"6h", 0, 21600000, ""},
	{"7d", 0, 604800000, ""},
	{"106751991167d", 0, INT64_C(9223372036828800000), ""},
	{"106751991168d", UNITS_TOO_LARGE, 0, ""},
	{"9223372036854775807ms", 0, INT64_MAX, ""},
	{"9223372036854775808ms", UNITS_TOO_LARGE, 0, ""},
	{"200", UNITS_NO_UNIT, 200, ""},
	{"", UNITS_NO_NUMBER, 0, ""},
	{"s", UNITS_NO_NUMBER, 0, ""},
	{".5s", UNITS_NO_NUMBER, 0, ""},
	{"5.s", UNITS_BAD_UNIT, 0, ""},
	{"-5s", UNITS_NEGATIVE, 0, ""},
	{"0.5ms", UNITS_NOT_WHOLE, 0, ""},
	{"0.0001s", UNITS_NOT_WHOLE, 0, ""},
	{"10us", UNITS_NOT_WHOLE, 0, ""},
	{"5 s", UNITS_LOOSE, 0, "5s"},
	{"5S", UNITS_LOOSE, 0, "5s"},
	{"5sec", UNITS_LOOSE, 0, "5s"},
	{"1.5 Minutes", UNITS_LOOSE, 0, "1.5m"},
	{"500MS", UNITS_LOOSE, 0, "500ms"},
	{"1h30m", UNITS_BAD_UNIT, 0, ""},
	{"5 fortnights", UNITS_BAD_UNIT, 0, ""},
	{"5s ", UNITS_BAD_UNIT, 0, ""},
};

static const struct unit_case sizes[] = {
	{"0", 0, 0, ""},
	{"4096", 0, 4096, ""},
	{"4096B", 0, 4096, ""},
	{"64KiB", 0, 65536, ""},
	{"1.5KiB", 0, 1536, ""},
	{"10MB", 0, 10000000, ""},
	{"2GiB", 0, INT64_C(2147483648), ""},
	{"1TiB", 0, INT64_C(1) << 40, ""},
	{"8388608TiB", UNITS_TOO_LARGE, 0, ""},
	{"1.5", UNITS_NO_UNIT, 0, ""},
	{"64K", UNITS_LOOSE, 0, "64KiB"},
	{"64kb", UNITS_LOOSE, 0, "64KiB"},
	{"64mb", UNITS_LOOSE, 0, "64MB"},
	{"64 MiB", UNITS_LOOSE, 0, "64MiB"},
	{"-1", UNITS_NEGATIVE, 0, ""},
	{"0.3KiB", UNITS_NOT_WHOLE, 0, ""},
	{"lots", UNITS_NO_NUMBER, 0, ""},
};

static void check(int (*parse)(int64_t *, char *, const char *), const struct unit_case *c)
{
	char fix[UNITS_FIX_CAP] = "?";
	int64_t v = -1;

	if (parse(&v, fix, c->text) != c->result)
		fail_msg("\"%s\" is not %d", c->text, c->result);
	if (c->result == 0)
		assert_int_equal(v, c->value);
	assert_string_equal(fix, c->fix);
}

static void times_are_read_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(times); i++)
		check(units_time, &times[i]);
}

static void sizes_are_read_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		check(units_size, &sizes[i]);
}

static void text_reads_back_as_the_same_value(void **state)
{
	static const int64_t values[] = {0, 1, 999, 1000, 1024, 1500, 60000, 65536, 90000, 3600000, 86400000, 10000000,
		INT64_C(1) << 40, INT64_C(999999999999), INT64_MAX};
	char text[40], fix[UNITS_FIX_CAP];

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		int64_t v = -1;

		assert_int_equal(units_time(&v, fix, units_time_text(text, sizeof(text), values[i])), 0);
		assert_int_equal(v, values[i]);
		assert_int_equal(units_size(&v, fix, units_size_text(text, sizeof(text), values[i])), 0);
		assert_int_equal(v, values[i]);
	}
	assert_string_equal(units_time_text(text, sizeof(text), 90000), "90s");
	assert_string_equal(units_time_text(text, sizeof(text), 3600000), "1h");
	assert_string_equal(units_size_text(text, sizeof(text), 65536), "64KiB");
	assert_string_equal(units_size_text(text, sizeof(text), 1000), "1kB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read_or_refused),
		cmocka_unit_test(sizes_are_read_or_refused),
		cmocka_unit_test(text_reads_back_as_the_same_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
