/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "tests/lib/test.h"

#include <string.h>

static void text_is_judged_as_mqtt_wants_it(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		bool ok;
	} row[] = {
		{"empty", "", true},
		{"ASCII", "plant/boiler", true},
		{"control characters", "\x01\x1f\x7f", true},
		{"two bytes, first", "\xc2\x80", true},
		{"two bytes, last", "\xdf\xbf", true},
		{"three bytes, first", "\xe0\xa0\x80", true},
		{"below the surrogates", "\xed\x9f\xbf", true},
		{"above the surrogates", "\xee\x80\x80", true},
		{"U+FEFF", "\xef\xbb\xbf", true},
		{"U+FFFF, a non-character", "\xef\xbf\xbf", true},
		{"four bytes, first", "\xf0\x90\x80\x80", true},
		{"U+10FFFF", "\xf4\x8f\xbf\xbf", true},
		{"overlong /", "\xc0\xaf", false},
		{"overlong NUL", "\xc0\x80", false},
		{"overlong two bytes, last", "\xc1\xbf", false},
		{"overlong three bytes", "\xe0\x9f\xbf", false},
		{"overlong four bytes", "\xf0\x8f\xbf\xbf", false},
		{"first surrogate", "\xed\xa0\x80", false},
		{"last surrogate", "\xed\xbf\xbf", false},
		{"U+110000", "\xf4\x90\x80\x80", false},
		{"F5", "\xf5\x80\x80\x80", false},
		{"FE", "\xfe", false},
		{"FF", "\xff", false},
		{"continuation alone", "\x80", false},
		{"cut after one of two", "a\xc3", false},
		{"cut after two of three", "\xe2\x82", false},
		{"cut after three of four", "\xf0\x9f\x98", false},
		{"ASCII where a continuation belongs", "\xe2\x28\xa1", false},
		{"second continuation is not one", "\xe2\x82\xc0", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		char text[64];
		size_t len = strlen(row[i].text);

		ROW(row[i].name, utf8_ok(row[i].text, len) == row[i].ok);
		for (size_t before = 0; before < 20; before++) { /* wherever it falls in a word of eight bytes */
			memset(text, 'a', sizeof(text));
			memcpy(text + before, row[i].text, len);
			ROW(row[i].name, utf8_ok(text, before + len) == row[i].ok);
			if (row[i].ok)
				ROW(row[i].name, utf8_ok(text, sizeof(text)));
		}
	}
}

static void a_zero_byte_is_refused_wherever_it_stands(void **state)
{
	char text[40];

	(void)state;
	for (size_t at = 0; at < sizeof(text); at++) {
		memset(text, 'x', sizeof(text));
		text[at] = 0;
		assert_false(utf8_ok(text, sizeof(text)));
		assert_true(utf8_ok(text, at));
	}
}

static void every_code_point_passes_but_nul_and_surrogates(void **state)
{
	(void)state;
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		uint8_t s[4];
		size_t n;

		if (cp < 0x80) {
			s[0] = (uint8_t)cp;
			n = 1;
		} else if (cp < 0x800) {
			s[0] = (uint8_t)(0xc0 | cp >> 6);
			n = 2;
		} else if (cp < 0x10000) {
			s[0] = (uint8_t)(0xe0 | cp >> 12);
			n = 3;
		} else {
			s[0] = (uint8_t)(0xf0 | cp >> 18);
			n = 4;
		}
		for (size_t i = 1; i < n; i++)
			s[i] = (uint8_t)(0x80 | (cp >> 6 * (n - 1 - i) & 0x3f));
		if (utf8_ok(s, n) != (cp != 0 && (cp < 0xd800 || cp > 0xdfff)))
			fail_msg("U+%04X", cp);
	}
}

static void a_cut_is_between_characters(void **state)
{
	static const char text[] = "a\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80"; /* of 1, 2, 3 and 4 bytes */
	static const size_t cut[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

	(void)state;
	for (size_t most = 0; most < COUNT(cut); most++)
		assert_int_equal(utf8_cut(text, 10, most), cut[most]);
	assert_int_equal(utf8_places(text, 10), 4);
	assert_int_equal(utf8_places("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_is_between_characters),
		cmocka_unit_test(text_is_judged_as_mqtt_wants_it),
		cmocka_unit_test(a_zero_byte_is_refused_wherever_it_stands),
		cmocka_unit_test(every_code_point_passes_but_nul_and_surrogates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
