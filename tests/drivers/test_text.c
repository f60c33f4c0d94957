/* SPDX-License-Identifier: MIT */
#include "drivers/text.h"

#include "tests/lib/test.h"

#include <math.h>
#include <string.h>

static const struct {
	const char *name;
	enum line_end end;
	const char *bytes;
	const char *lines; /* as they come out, each behind a | */
	uint64_t dropped;
} splits[] = {
	{"line feeds", END_LF, "a\nbc\r\n\nd", "|a|bc|", 0},
	{"carriage returns", END_CR, "a\r\nb\r", "|a|b", 0},
	{"both, nothing less", END_CRLF, "a\nb\r\nc\r", "|a\nb", 0},
	{"framed", END_ETX, "\002a\003\002b\003", "|a|b", 0},
	{"too long is dropped whole", END_LF, "123456789\nok\n", "|ok", 1},
	{"too long with a two-byte end", END_CRLF, "123456789\r\nok\r\n", "|ok", 1},
	{"just long enough", END_LF, "12345678\n", "|12345678", 0},
};

static void split(enum line_end end, const char *bytes, size_t step, char *out, uint64_t *dropped)
{
	struct splitter s;

	assert_int_equal(splitter_init(&s, 8, end), 0);
	out[0] = '\0';
	for (size_t at = 0; at < strlen(bytes); at += step) {
		size_t left = strlen(bytes) - at;
		struct cursor c = cursor_on(bytes + at, left < step ? left : step);
		struct span line;

		while (splitter_take(&s, &c, &line)) {
			strcat(out, "|");
			strncat(out, (const char *)line.at, line.len);
		}
	}
	*dropped = s.dropped;
	splitter_fini(&s);
}

static void bytes_split_into_lines_however_they_arrive(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(splits); i++) {
		for (size_t step = 1; step <= 16; step++) {
			char out[128];
			uint64_t dropped;

			split(splits[i].end, splits[i].bytes, step, out, &dropped);
			ROW(splits[i].name, strcmp(out, splits[i].lines) == 0);
			ROW(splits[i].name, dropped == splits[i].dropped);
		}
	}
}

static struct span span_of(const char *s)
{
	return (struct span){(const uint8_t *)s, strlen(s)};
}

static void nmea_checksum_is_proved_and_cut_off(void **state)
{
	static const struct {
		const char *line;
		bool ok;
	} lines[] = {{"$WIMDA,30.2,I*54", false}, {"$A*41", true}, {"!A*41", true}, {"$A*42", false}, {"A*41", false},
		{"$A*4", false}, {"$A*4g", false}, {"$*", false}, {"", false}};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct span s = span_of(lines[i].line);

		ROW(lines[i].line, text_check(CHECKSUM_NMEA, &s) == lines[i].ok);
		ROW(lines[i].line, !lines[i].ok || s.len == strlen(lines[i].line) - 3);
	}
}

static void checksum_at_the_end_is_proved_and_cut_off(void **state)
{
	static const struct {
		const char *line;
		enum line_checksum how;
		bool ok;
	} lines[] = {{"ST,GS,+0012.326", CHECKSUM_XOR, true}, {"ST,GS,+0012.327", CHECKSUM_XOR, false},
		{"T1=23.4;78", CHECKSUM_XOR, true}, {"T1=23.4;7", CHECKSUM_XOR, false}, {"78", CHECKSUM_XOR, false},
		{"ST,GS,+0012.3E8", CHECKSUM_SUM, true}, {"ST,GS,+0012.3e8", CHECKSUM_SUM, true},
		{"ST,GS,+0012.4E8", CHECKSUM_SUM, false}, {"T1=23.4;C4", CHECKSUM_SUM, true},
		{"T1=23.4;CG", CHECKSUM_SUM, false}, {"ST,GS,+0012.318", CHECKSUM_ZERO_SUM, true},
		{"T1=23.4;3C", CHECKSUM_ZERO_SUM, true}, {"T1=23.4;C4", CHECKSUM_ZERO_SUM, false},
		{"ST,GS,+0012.32716", CHECKSUM_CRC16, true}, {"T1=23.4;7061", CHECKSUM_CRC16, true},
		{"T1=23.4;6170", CHECKSUM_CRC16, false}, {"061", CHECKSUM_CRC16, false}, {"", CHECKSUM_CRC16, false}};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct span s = span_of(lines[i].line);
		size_t digits = lines[i].how == CHECKSUM_CRC16 ? 4 : 2;

		ROW(lines[i].line, text_check(lines[i].how, &s) == lines[i].ok);
		ROW(lines[i].line, !lines[i].ok || s.len == strlen(lines[i].line) - digits);
	}
}

static void fields_are_counted_and_trimmed(void **state)
{
	struct span f;

	(void)state;
	assert_true(text_field(span_of("a; b ;;c"), ";", 2, &f));
	assert_int_equal(f.len, 1);
	assert_memory_equal(f.at, "b", 1);
	assert_true(text_field(span_of("a; b ;;c"), ";", 3, &f));
	assert_int_equal(f.len, 0);
	assert_false(text_field(span_of("a; b ;;c"), ";", 5, &f));
	assert_true(text_field(span_of("a::b"), "::", 2, &f));
	assert_memory_equal(f.at, "b", 1);
}

static void text_becomes_a_value_of_its_type(void **state)
{
	static const struct {
		int type;
		const char *text;
		bool ok;
		double want;
	} rows[] = {
		{TYPE_FLOAT64, " 12.5 ", true, 12.5},
		{TYPE_FLOAT64, "-1e3", true, -1000},
		{TYPE_FLOAT64, "nan", false, 0},
		{TYPE_FLOAT64, "0x10", false, 0},
		{TYPE_FLOAT64, "", false, 0},
		{TYPE_FLOAT64, "1.2.3", false, 0},
		{TYPE_FLOAT64, "1e999", false, 0},
		{TYPE_INT64, "42", true, 42},
		{TYPE_INT64, "x", false, 0},
		{TYPE_BOOL, "ON", true, 1},
		{TYPE_BOOL, "off", true, 0},
		{TYPE_BOOL, "2", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = {.type = rows[i].type, .scale = 1, .decimals = -1};
		struct value v = {.kind = VALUE_NONE};
		double got;

		ROW(rows[i].text, text_value(&p, span_of(rows[i].text), &v) == rows[i].ok);
		if (!rows[i].ok)
			continue;
		got = v.kind == VALUE_REAL ? v.r : v.kind == VALUE_INT ? (double)v.i : v.b;
		ROW(rows[i].text, fabs(got - rows[i].want) < 1e-9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_split_into_lines_however_they_arrive),
		cmocka_unit_test(nmea_checksum_is_proved_and_cut_off),
		cmocka_unit_test(checksum_at_the_end_is_proved_and_cut_off),
		cmocka_unit_test(fields_are_counted_and_trimmed),
		cmocka_unit_test(text_becomes_a_value_of_its_type),
	};

	return cmocka_run_group_tests_name("drivers/text", tests, NULL, NULL);
}
