/* SPDX-License-Identifier: MIT */
#include "drivers/date.h"

#include "drivers/decode.h"
#include "drivers/encode.h"
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CDAB (ORDER_GIVEN | ORDER_SWAP_WORDS | ORDER_SWAP_PAIRS)

/* Registers, the text they stand for, and the registers again. */
static const struct {
	const char *name;
	int type, order;
	const char *zone;
	uint16_t regs[6];
	const char *want;
} cases[] = {
	{"seconds", TYPE_TIME32, ORDER_BIG, NULL, {0x6920, 0x1587}, "2025-11-21T07:32:23Z"},
	{"seconds, low first", TYPE_TIME32, CDAB, NULL, {0x1587, 0x6920}, "2025-11-21T07:32:23Z"},
	{"past 2038", TYPE_TIME32, ORDER_BIG, NULL, {0xf000, 0x0000}, "2097-08-05T09:04:00Z"},
	{"seconds of a local clock", TYPE_TIME32, ORDER_BIG, "+01:00", {0x6920, 0x1587}, "2025-11-21T06:32:23Z"},
	{"64 bits", TYPE_TIME64, ORDER_BIG, NULL, {0, 0, 0x6920, 0x1587}, "2025-11-21T07:32:23Z"},
	{"BCD", TYPE_TIME_BCD, ORDER_BIG, NULL, {0x2511, 0x2107, 0x3223}, "2025-11-21T07:32:23Z"},
	{"BCD, bytes swapped", TYPE_TIME_BCD, ORDER_GIVEN | ORDER_SWAP_BYTES, NULL, {0x1125, 0x0721, 0x2332},
		"2025-11-21T07:32:23Z"},
	{"six parts", TYPE_TIME6, ORDER_BIG, "utc", {2025, 11, 21, 7, 32, 23}, "2025-11-21T07:32:23Z"},
	{"six parts, second first", TYPE_TIME6, CDAB, NULL, {23, 32, 7, 21, 11, 2025}, "2025-11-21T07:32:23Z"},
	{"year of the century", TYPE_TIME6YY, ORDER_BIG, NULL, {25, 11, 21, 7, 32, 23}, "2025-11-21T07:32:23Z"},
	{"over midnight", TYPE_TIME6, ORDER_BIG, "+05:30", {2025, 1, 1, 2, 0, 0}, "2024-12-31T20:30:00Z"},
	{"leap day", TYPE_TIME6, ORDER_BIG, NULL, {2024, 2, 29, 0, 0, 0}, "2024-02-29T00:00:00Z"},
};

static struct point_opts point(int type, int order, const char *zone)
{
	return (struct point_opts){.type = type, .order = order, .zone = zone, .scale = 1, .decimals = -1};
}

static void registers_become_a_moment_and_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct point_opts p = point(cases[i].type, cases[i].order, cases[i].zone);
		char text[DECODE_TEXT_CAP];
		struct value v;
		uint16_t regs[6];

		ROW(cases[i].name, decode_registers(&p, cases[i].regs, text, &v) == 0);
		ROW(cases[i].name, v.kind == VALUE_TEXT && v.text.len == strlen(cases[i].want));
		ROW(cases[i].name, memcmp(v.text.at, cases[i].want, v.text.len) == 0);
		ROW(cases[i].name, encode_registers(&p, &v, regs) == 0);
		ROW(cases[i].name, memcmp(regs, cases[i].regs, point_words(&p) * sizeof(*regs)) == 0);
	}
}

static void registers_that_hold_no_date_are_bad(void **state)
{
	static const struct {
		int type;
		uint16_t regs[6];
	} rows[] = {
		{TYPE_TIME_BCD, {0, 0, 0}},
		{TYPE_TIME_BCD, {0x2513, 0x0100, 0}},
		{TYPE_TIME_BCD, {0x25a1, 0x0100, 0}},
		{TYPE_TIME6, {2025, 2, 29, 0, 0, 0}},
		{TYPE_TIME6, {2025, 4, 31, 0, 0, 0}},
		{TYPE_TIME6, {2025, 1, 1, 24, 0, 0}},
		{TYPE_TIME6, {25, 1, 1, 0, 0, 0}},
		{TYPE_TIME6YY, {2025, 1, 1, 0, 0, 0}},
		{TYPE_TIME64, {0xffff, 0, 0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(rows[i].type, ORDER_BIG, NULL);
		char text[DECODE_TEXT_CAP];
		struct value v;

		assert_int_equal(decode_registers(&p, rows[i].regs, text, &v), DECODE_NOT_A_DATE);
	}
}

static void clock_of_the_computers_zone_has_its_summer_time(void **state)
{
	struct point_opts p = point(TYPE_TIME6, ORDER_BIG, "local");
	static const uint16_t winter[] = {2025, 1, 15, 12, 0, 0}, summer[] = {2025, 7, 15, 12, 0, 0};
	char text[DECODE_TEXT_CAP];
	struct value v;

	(void)state;
	assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
	tzset();
	assert_int_equal(decode_registers(&p, winter, text, &v), 0);
	assert_memory_equal(v.text.at, "2025-01-15T11:00:00Z", 20);
	assert_int_equal(decode_registers(&p, summer, text, &v), 0);
	assert_memory_equal(v.text.at, "2025-07-15T10:00:00Z", 20);
	assert_int_equal(unsetenv("TZ"), 0);
	tzset();
}

static void text_is_read_in_its_usual_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: it is no date */
	} rows[] = {
		{"2025-11-21T07:32:23Z", 1763710343},
		{"2025-11-21 07:32:23Z", 1763710343},
		{"2025-11-21T08:32:23+01:00", 1763710343},
		{"2025-11-21T07:32:23", -1},
		{"2025-11-21T07:32:23local", -1},
		{"2025-11-21T07:32:23+1:00", -1},
		{"2025-13-21T07:32:23Z", -1},
		{"now", -1},
		{"", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t at = -1;
		bool is = date_parse(rows[i].text, strlen(rows[i].text), &at);

		ROW(rows[i].text, is == (rows[i].want >= 0));
		if (is)
			assert_int_equal(at, rows[i].want);
	}
}

static void zone_that_is_none_is_refused(void **state)
{
	static const char *const wrong[] = {"", "UTC", "cet", "1:00", "+1:00", "+01:60", "+15:00", "+01-00", "*01:00"};
	int64_t ahead;
	bool local;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		ROW(wrong[i], !date_zone(wrong[i], &local, &ahead));
	assert_true(date_zone("-03:30", &local, &ahead));
	assert_int_equal(ahead, -12600);
}

static void layout_that_cannot_hold_a_moment_refuses_it(void **state)
{
	static const struct {
		int type;
		const char *text;
	} rows[] = {{TYPE_TIME32, "2150-01-01T00:00:00Z"}, {TYPE_TIME_BCD, "1999-01-01T00:00:00Z"},
		{TYPE_TIME6YY, "2100-01-01T00:00:00Z"}, {TYPE_TIME6, "yesterday"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(rows[i].type, ORDER_BIG, NULL);
		const struct value v = {.kind = VALUE_TEXT, .text = {rows[i].text, strlen(rows[i].text)}};
		uint16_t regs[6];

		ROW(rows[i].text, encode_registers(&p, &v, regs) == ENCODE_NOT_A_DATE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_become_a_moment_and_come_back),
		cmocka_unit_test(registers_that_hold_no_date_are_bad),
		cmocka_unit_test(clock_of_the_computers_zone_has_its_summer_time),
		cmocka_unit_test(text_is_read_in_its_usual_forms),
		cmocka_unit_test(zone_that_is_none_is_refused),
		cmocka_unit_test(layout_that_cannot_hold_a_moment_refuses_it),
	};

	return cmocka_run_group_tests_name("drivers/date", tests, NULL, NULL);
}
