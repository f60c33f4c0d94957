/* SPDX-License-Identifier: MIT */
#include "gateway/human.h"
#include "tests/lib/test.h"

static void ages_bytes_and_times_are_said_in_one_unit(void **state)
{
	static const struct {
		int64_t n;
		const char *age, *bytes;
	} rows[] = {
		{0, "0.0 s", "0 B"},
		{9500, "9.5 s", "9.3 KiB"},
		{119000, "119 s", "116 KiB"},
		{120000, "2 min", "117 KiB"},
		{147600000, "41 h", "141 MiB"},
		{1073741824, "12 days", "1.0 GiB"},
	};
	char text[HUMAN_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_string_equal(human_age(text, rows[i].n), rows[i].age);
		assert_string_equal(human_bytes(text, rows[i].n), rows[i].bytes);
	}
	assert_string_equal(human_time(text, 1763701230007), "2025-11-21T05:00:30.007Z");
	assert_string_equal(human_time(text, -1), "1969-12-31T23:59:59.999Z");
}

static void times_are_read_as_people_type_them(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} rows[] = {
		{"1970-01-02", 86400000},
		{"1970-01-01T00:01", 60000},
		{"1970-01-01T00:00:02Z", 2000},
		{"now", 1000000000},
		{"90s", 999910000},
		{"2h", 992800000},
		{"7d", 395200000},
		{"yesterday", -1},
		{"", -1},
		{"-2h", -1},
		{"2h ago", -1},
		{"1970-13-01", -1},
		{"1970-01-01x", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t got = -1;
		bool ok = human_read_time(rows[i].text, 1000000000, &got);

		ROW(rows[i].text, ok == (rows[i].want >= 0));
		ROW(rows[i].text, got == rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ages_bytes_and_times_are_said_in_one_unit),
		cmocka_unit_test(times_are_read_as_people_type_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
