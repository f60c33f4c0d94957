/* SPDX-License-Identifier: MIT */
#include "drivers/decode.h"

#include "tests/lib/test.h"

#include <math.h>
#include <string.h>

#define B ORDER_SWAP_BYTES
#define W ORDER_SWAP_WORDS
#define P ORDER_SWAP_PAIRS

static const struct {
	const char *name;
	int type;
	int order;
	uint16_t regs[4];
	enum value_kind kind;
	int64_t i; /* also of u and b */
	double r;
} cases[] = {
	{"int16", TYPE_INT16, 0, {0xfffe}, VALUE_INT, -2, 0},
	{"int16 BA", TYPE_INT16, B, {0xfeff}, VALUE_INT, -2, 0},
	{"uint16", TYPE_UINT16, 0, {0xfffe}, VALUE_UINT, 65534, 0},
	{"int32 ABCD", TYPE_INT32, 0, {0xffff, 0xfffd}, VALUE_INT, -3, 0},
	{"int32 CDAB", TYPE_INT32, W | P, {0xfffd, 0xffff}, VALUE_INT, -3, 0},
	{"uint32 ABCD", TYPE_UINT32, 0, {0x0102, 0x0304}, VALUE_UINT, 0x01020304, 0},
	{"uint32 BADC", TYPE_UINT32, B, {0x0201, 0x0403}, VALUE_UINT, 0x01020304, 0},
	{"uint32 CDAB", TYPE_UINT32, W | P, {0x0304, 0x0102}, VALUE_UINT, 0x01020304, 0},
	{"uint32 DCBA", TYPE_UINT32, B | W | P, {0x0403, 0x0201}, VALUE_UINT, 0x01020304, 0},
	{"uint64 ABCDEFGH", TYPE_UINT64, 0, {0x0102, 0x0304, 0x0506, 0x0708}, VALUE_UINT, 0x0102030405060708, 0},
	{"uint64 BADCFEHG", TYPE_UINT64, B, {0x0201, 0x0403, 0x0605, 0x0807}, VALUE_UINT, 0x0102030405060708, 0},
	{"uint64 CDABGHEF", TYPE_UINT64, W, {0x0304, 0x0102, 0x0708, 0x0506}, VALUE_UINT, 0x0102030405060708, 0},
	{"uint64 DCBAHGFE", TYPE_UINT64, B | W, {0x0403, 0x0201, 0x0807, 0x0605}, VALUE_UINT, 0x0102030405060708, 0},
	{"uint64 EFGHABCD", TYPE_UINT64, P, {0x0506, 0x0708, 0x0102, 0x0304}, VALUE_UINT, 0x0102030405060708, 0},
	{"uint64 FEHGBADC", TYPE_UINT64, B | P, {0x0605, 0x0807, 0x0201, 0x0403}, VALUE_UINT, 0x0102030405060708, 0},
	{"uint64 GHEFCDAB", TYPE_UINT64, W | P, {0x0708, 0x0506, 0x0304, 0x0102}, VALUE_UINT, 0x0102030405060708, 0},
	{"uint64 HGFEDCBA", TYPE_UINT64, B | W | P, {0x0807, 0x0605, 0x0403, 0x0201}, VALUE_UINT, 0x0102030405060708,
		0},
	{"int64 least", TYPE_INT64, 0, {0x8000, 0, 0, 0}, VALUE_INT, INT64_MIN, 0},
	{"float32", TYPE_FLOAT32, 0, {0x3fc0, 0x0000}, VALUE_REAL, 0, 1.5},
	{"float32 CDAB", TYPE_FLOAT32, W | P, {0x0000, 0x3fc0}, VALUE_REAL, 0, 1.5},
	{"float32 DCBA", TYPE_FLOAT32, B | W | P, {0x0000, 0xc03f}, VALUE_REAL, 0, 1.5},
	{"float64", TYPE_FLOAT64, 0, {0x4009, 0x21fb, 0x5444, 0x2d18}, VALUE_REAL, 0, M_PI},
	{"float64 GHEFCDAB", TYPE_FLOAT64, W | P, {0x2d18, 0x5444, 0x21fb, 0x4009}, VALUE_REAL, 0, M_PI},
	{"float16", TYPE_FLOAT16, 0, {0x3e00}, VALUE_REAL, 0, 1.5},
	{"float16 negative", TYPE_FLOAT16, 0, {0xc000}, VALUE_REAL, 0, -2},
	{"float16 greatest", TYPE_FLOAT16, 0, {0x7bff}, VALUE_REAL, 0, 65504},
	{"float16 least", TYPE_FLOAT16, 0, {0x0001}, VALUE_REAL, 0, 1.0 / 16777216},
	{"bcd16", TYPE_BCD16, 0, {0x1234}, VALUE_UINT, 1234, 0},
	{"bcd32 CDAB", TYPE_BCD32, W | P, {0x5678, 0x1234}, VALUE_UINT, 12345678, 0},
	{"bool of a register", TYPE_BOOL, 0, {0x0100}, VALUE_BOOL, 1, 0},
	{"bool of an empty register", TYPE_BOOL, 0, {0}, VALUE_BOOL, 0, 0},
};

static struct point_opts point(int type, int order)
{
	return (struct point_opts){.type = type, .order = ORDER_GIVEN | order, .scale = 1, .decimals = -1};
}

static bool same(const struct value *v, enum value_kind kind, int64_t i, double r)
{
	switch (kind) {
	case VALUE_BOOL: return v->kind == kind && v->b == (i != 0);
	case VALUE_INT: return v->kind == kind && v->i == i;
	case VALUE_UINT: return v->kind == kind && v->u == (uint64_t)i;
	default: return v->kind == kind && fabs(v->r - r) < 1e-12;
	}
}

static void registers_become_values_in_every_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct point_opts p = point(cases[i].type, cases[i].order);
		struct value v;
		char text[DECODE_TEXT_CAP];

		ROW(cases[i].name, decode_registers(&p, cases[i].regs, text, &v) == 0);
		ROW(cases[i].name, same(&v, cases[i].kind, cases[i].i, cases[i].r));
	}
}

static void fields_of_a_register_are_cut_out(void **state)
{
	static const struct {
		int type;
		int64_t bit, width, want;
	} fields[] = {{TYPE_BOOL, 15, 1, 1}, {TYPE_BOOL, 14, 1, 0}, {TYPE_UINT16, 4, 8, 0xbc}, {TYPE_INT16, 4, 4, -4},
		{TYPE_UINT16, 0, 16, 0xabcd}};
	const uint16_t reg = 0xabcd;

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct point_opts p = point(fields[i].type, 0);
		struct value v;
		int64_t got;

		p.bit = fields[i].bit;
		p.width = fields[i].width;
		assert_int_equal(decode_registers(&p, &reg, NULL, &v), 0);
		got = v.kind == VALUE_BOOL ? v.b : v.kind == VALUE_INT ? v.i : (int64_t)v.u;
		assert_int_equal(got, fields[i].want);
	}
}

static void scale_offset_and_decimals_make_a_real(void **state)
{
	static const struct {
		double scale, offset;
		int64_t decimals;
		double want;
	} rows[] = {
		{0.1, 0, -1, 123.4}, {0.1, -40, -1, 83.4}, {0.001, 0, 2, 1.23}, {1, 0, 0, 1234}, {-1, 0, -1, -1234}};
	const uint16_t reg = 1234;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(TYPE_UINT16, 0);
		struct value v;

		p.scale = rows[i].scale;
		p.offset = rows[i].offset;
		p.decimals = rows[i].decimals;
		assert_int_equal(decode_registers(&p, &reg, NULL, &v), 0);
		if (v.kind == VALUE_UINT)
			v = (struct value){.kind = VALUE_REAL, .r = (double)v.u};
		assert_true(fabs(v.r - rows[i].want) < 1e-9);
	}
}

static void what_is_no_value_is_told_apart(void **state)
{
	static const char *const hex[] = {"0x8000"}, *const minus[] = {"-1", "7"};
	static const struct {
		const char *name;
		int type;
		uint16_t regs[4];
		struct key_list nulls;
		int want;
	} rows[] = {
		{"null by bits", TYPE_INT16, {0x8000}, {(void *)hex, 1}, DECODE_NULL},
		{"null by number", TYPE_INT16, {0xffff}, {(void *)minus, 2}, DECODE_NULL},
		{"no null", TYPE_UINT16, {0xffff}, {(void *)minus, 2}, 0},
		{"float nan", TYPE_FLOAT32, {0x7fc0, 0}, {0}, DECODE_NOT_A_NUMBER},
		{"float infinity", TYPE_FLOAT32, {0xff80, 0}, {0}, DECODE_NOT_A_NUMBER},
		{"half nan", TYPE_FLOAT16, {0x7e00}, {0}, DECODE_NOT_A_NUMBER},
		{"digit above 9", TYPE_BCD16, {0x12a4}, {0}, DECODE_NOT_BCD},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(rows[i].type, 0);
		struct value v;

		p.null_values = rows[i].nulls;
		ROW(rows[i].name, decode_registers(&p, rows[i].regs, NULL, &v) == rows[i].want);
	}
}

static void text_is_cut_trimmed_and_made_utf8(void **state)
{
	static const struct {
		int order;
		int64_t length;
		uint16_t regs[4];
		const char *want;
	} rows[] = {
		{0, 4, {0x4142, 0x4344}, "ABCD"},
		{B, 4, {0x4241, 0x4443}, "ABCD"},
		{0, 3, {0x4142, 0x4344}, "ABC"},
		{0, 8, {0x4142, 0x0044, 0x4545, 0x4545}, "AB"},
		{0, 4, {0x4120, 0x2020}, "A"},
		{0, 4, {0x41e4, 0x4220},
			"A\xc3\xa4"
			"B"},
		{0, 4, {0x41c3, 0xa442},
			"A\xc3\xa4"
			"B"},
		{0, 2, {0}, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(TYPE_STRING, rows[i].order);
		char text[DECODE_TEXT_CAP];
		struct value v;

		p.length = rows[i].length;
		assert_int_equal(decode_registers(&p, rows[i].regs, text, &v), 0);
		assert_int_equal(v.text.len, strlen(rows[i].want));
		assert_memory_equal(v.text.at, rows[i].want, v.text.len);
	}
}

static void number_with_a_name_is_its_name_and_one_without_says_so(void **state)
{
	static struct key_pair pairs[] = {{0, "off"}, {1, "heating"}, {-3, "fault"}};
	static const struct {
		int type;
		uint16_t reg;
		const char *want;
	} rows[] = {{TYPE_INT16, 1, "heating"}, {TYPE_INT16, 0xfffd, "fault"}, {TYPE_INT16, 7, "unknown 7"},
		{TYPE_UINT16, 0xfffd, "unknown 65533"}, {TYPE_BOOL, 0, "off"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(rows[i].type, 0);
		char text[DECODE_TEXT_CAP];
		struct value v;

		p.values = (struct key_list){pairs, COUNT(pairs)};
		ROW(rows[i].want, decode_registers(&p, &rows[i].reg, text, &v) == 0);
		ROW(rows[i].want, v.kind == VALUE_TEXT && v.text.len == strlen(rows[i].want));
		assert_memory_equal(v.text.at, rows[i].want, v.text.len);
	}
}

static void value_outside_of_its_range_is_bad_or_clamped(void **state)
{
	static const struct {
		uint16_t reg;
		int outside, want;
		double r;
	} rows[] = {{500, OUTSIDE_BAD, 0, 50}, {1001, OUTSIDE_BAD, DECODE_OUTSIDE, 0}, {1001, OUTSIDE_CLAMP, 0, 100},
		{50, OUTSIDE_CLAMP, 0, 10}, {50, OUTSIDE_BAD, DECODE_OUTSIDE, 0}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(TYPE_UINT16, 0);
		struct value v;

		p.scale = 0.1;
		p.has_lowest = p.has_highest = true;
		p.lowest = 10;
		p.highest = 100;
		p.outside = rows[i].outside;
		assert_int_equal(decode_registers(&p, &rows[i].reg, NULL, &v), rows[i].want);
		if (rows[i].want == 0)
			assert_true(fabs(v.r - rows[i].r) < 1e-9);
	}
	assert_string_equal(decode_reason(DECODE_OUTSIDE), "range");
}

/* A field may stand anywhere in the registers of its type; a byte of a register is one too. */
static void fields_of_several_registers_are_cut_out(void **state)
{
	static const struct {
		int type;
		int64_t bit, width, want;
	} rows[] = {{TYPE_UINT32, 0, 24, 0xadbeef}, {TYPE_INT32, 16, 16, (int16_t)0xdead}, {TYPE_UINT64, 0, 64, -1},
		{TYPE_UINT64, 40, 20, 0xfffff}, {TYPE_BOOL, 0, 1, 1}};
	const uint16_t words[2] = {0xdead, 0xbeef}, ones[4] = {0xffff, 0xffff, 0xffff, 0xffff};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(rows[i].type, 0);
		struct value v;

		p.bit = rows[i].bit;
		p.width = rows[i].width;
		assert_int_equal(decode_registers(&p, rows[i].type == TYPE_UINT64 ? ones : words, NULL, &v), 0);
		assert_true(v.kind == VALUE_BOOL ? v.b : v.i == rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_become_values_in_every_order),
		cmocka_unit_test(fields_of_a_register_are_cut_out),
		cmocka_unit_test(fields_of_several_registers_are_cut_out),
		cmocka_unit_test(number_with_a_name_is_its_name_and_one_without_says_so),
		cmocka_unit_test(value_outside_of_its_range_is_bad_or_clamped),
		cmocka_unit_test(scale_offset_and_decimals_make_a_real),
		cmocka_unit_test(what_is_no_value_is_told_apart),
		cmocka_unit_test(text_is_cut_trimmed_and_made_utf8),
	};

	return cmocka_run_group_tests_name("drivers/decode", tests, NULL, NULL);
}
