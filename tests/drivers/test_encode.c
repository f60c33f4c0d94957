/* SPDX-License-Identifier: MIT */
#include "drivers/encode.h"

#include "drivers/decode.h"
#include "tests/lib/test.h"

#include <math.h>
#include <string.h>

/* Every type in every order: what was encoded decodes to itself. */
static void values_come_back_from_their_registers(void **state)
{
	static const struct {
		int type;
		const char *texts[5];
	} types[] = {
		{TYPE_INT16, {"0", "-1", "32767", "-32768"}},
		{TYPE_UINT16, {"0", "65535"}},
		{TYPE_INT32, {"-2147483648", "2147483647"}},
		{TYPE_UINT32, {"4294967295", "16909060"}},
		{TYPE_INT64, {"-9223372036854775808", "9223372036854775807"}},
		{TYPE_UINT64, {"18446744073709551615", "72623859790382856"}},
		{TYPE_FLOAT16, {"1.5", "-65504", "0.00006103515625", "0.000000059604644775390625"}},
		{TYPE_FLOAT32, {"1.5", "-0.125"}},
		{TYPE_FLOAT64, {"3.141592653589793", "-1e300"}},
		{TYPE_BCD16, {"9999", "1234"}},
		{TYPE_BCD32, {"99999999", "12345678"}},
		{TYPE_BOOL, {"true", "off"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		for (int order = 0; order < 8; order++) {
			struct point_opts p = {
				.type = types[i].type, .order = ORDER_GIVEN | order, .scale = 1, .decimals = -1};

			for (size_t k = 0; k < 5 && types[i].texts[k]; k++) {
				const char *text = types[i].texts[k];
				uint16_t regs[4];
				struct value v, back;

				ROW(text, encode_text(&p, text, strlen(text), &v) == 0);
				ROW(text, encode_registers(&p, &v, regs) == 0);
				ROW(text, decode_registers(&p, regs, NULL, &back) == 0);
				if (v.kind == back.kind && v.kind != VALUE_REAL)
					ROW(text, v.u == back.u || v.kind == VALUE_BOOL);
				ROW(text, fabs(encode_number(&v) - encode_number(&back)) <= 0);
			}
		}
	}
}

static void what_does_not_fit_is_refused(void **state)
{
	static const struct {
		const char *text;
		int type;
		double scale;
		int64_t width;
		int want;
	} rows[] = {
		{"32768", TYPE_INT16, 1, 0, ENCODE_TOO_BIG},
		{"-1", TYPE_UINT16, 1, 0, ENCODE_TOO_BIG},
		{"3276.7", TYPE_INT16, 0.1, 0, 0},
		{"3276.8", TYPE_INT16, 0.1, 0, ENCODE_TOO_BIG},
		{"4294967296", TYPE_UINT32, 1, 0, ENCODE_TOO_BIG},
		{"18446744073709551616", TYPE_UINT64, 1, 0, ENCODE_TOO_BIG},
		{"10000", TYPE_BCD16, 1, 0, ENCODE_TOO_BIG},
		{"-1", TYPE_BCD16, 1, 0, ENCODE_TOO_BIG},
		{"70000", TYPE_FLOAT16, 1, 0, ENCODE_TOO_BIG},
		{"1e39", TYPE_FLOAT32, 1, 0, ENCODE_TOO_BIG},
		{"8", TYPE_UINT16, 1, 3, ENCODE_TOO_BIG},
		{"7", TYPE_UINT16, 1, 3, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = {.type = rows[i].type,
			.order = ORDER_BIG,
			.scale = rows[i].scale,
			.decimals = -1,
			.width = rows[i].width};
		uint16_t regs[4];
		struct value v;

		ROW(rows[i].text, encode_text(&p, rows[i].text, strlen(rows[i].text), &v) == 0);
		ROW(rows[i].text, encode_registers(&p, &v, regs) == rows[i].want);
	}
}

static void limits_are_kept(void **state)
{
	struct point_opts p = {.type = TYPE_INT16,
		.order = ORDER_BIG,
		.scale = 0.1,
		.decimals = -1,
		.has_min = true,
		.has_max = true,
		.min = 20,
		.max = 90,
		.write_source = SOURCE_HOLDING};

	(void)state;
	assert_int_equal(encode_check(&p, &(struct value){.kind = VALUE_REAL, .r = 19.9}), ENCODE_BELOW);
	assert_int_equal(encode_check(&p, &(struct value){.kind = VALUE_INT, .i = 20}), 0);
	assert_int_equal(encode_check(&p, &(struct value){.kind = VALUE_INT, .i = 91}), ENCODE_ABOVE);
	assert_int_equal(encode_check(&p, &(struct value){.kind = VALUE_REAL, .r = NAN}), ENCODE_NOT_A_VALUE);
}

static void text_that_is_no_value_is_refused(void **state)
{
	static const char *const texts[] = {"", "x", "1x", "0x10", "nan", "inf", "1e999", "--1", "true"};
	struct point_opts p = {.type = TYPE_FLOAT32, .order = ORDER_BIG, .scale = 1};
	struct value v;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		ROW(texts[i], encode_text(&p, texts[i], strlen(texts[i]), &v) == ENCODE_NOT_A_VALUE);
	p.type = TYPE_BOOL;
	assert_int_equal(encode_text(&p, "maybe", 5, &v), ENCODE_NOT_A_VALUE);
}

static void strings_fill_their_registers(void **state)
{
	struct point_opts p = {.type = TYPE_STRING, .order = ORDER_GIVEN | ORDER_SWAP_BYTES, .length = 5};
	uint16_t regs[3];
	struct value v = {.kind = VALUE_TEXT, .text = {"ABC", 3}};

	(void)state;
	assert_int_equal(encode_registers(&p, &v, regs), 0);
	assert_int_equal(regs[0], 0x4241);
	assert_int_equal(regs[1], 0x0043);
	assert_int_equal(regs[2], 0);
	v.text.len = 6;
	assert_int_equal(encode_registers(&p, &v, regs), ENCODE_TOO_BIG);
}

static void strings_of_one_character_a_register_come_back(void **state)
{
	static const struct {
		int order;
		uint16_t first;
	} rows[] = {{ORDER_BIG, 0x0041}, {ORDER_GIVEN | ORDER_SWAP_BYTES, 0x4100}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = {.type = TYPE_STRING, .order = rows[i].order, .length = 3, .chars = 1};
		const struct value v = {.kind = VALUE_TEXT, .text = {"ABC", 3}};
		char text[DECODE_TEXT_CAP];
		struct value back;
		uint16_t regs[3];

		assert_int_equal(point_words(&p), 3);
		assert_int_equal(encode_registers(&p, &v, regs), 0);
		assert_int_equal(regs[0], rows[i].first);
		assert_int_equal(decode_registers(&p, regs, text, &back), 0);
		assert_int_equal(back.text.len, 3);
		assert_memory_equal(back.text.at, "ABC", 3);
	}
}

static void names_stand_for_their_numbers(void **state)
{
	static struct key_pair pairs[] = {{0, "off"}, {1, "heating"}, {-3, "fault"}};
	struct point_opts p = {.type = TYPE_INT16,
		.order = ORDER_BIG,
		.scale = 1,
		.decimals = -1,
		.write_source = SOURCE_HOLDING,
		.values = {pairs, COUNT(pairs)}};
	static const struct {
		struct value v;
		int want;
		uint16_t reg;
	} rows[] = {
		{{.kind = VALUE_TEXT, .text = {"heating", 7}}, 0, 1},
		{{.kind = VALUE_TEXT, .text = {"fault", 5}}, 0, 0xfffd},
		{{.kind = VALUE_INT, .i = 1}, 0, 1},
		{{.kind = VALUE_TEXT, .text = {"heat", 4}}, ENCODE_NO_NAME, 0},
		{{.kind = VALUE_INT, .i = 7}, ENCODE_NO_NAME, 0},
		{{.kind = VALUE_REAL, .r = 0.5}, ENCODE_NO_NAME, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint16_t reg = 0;

		assert_int_equal(encode_check(&p, &rows[i].v), rows[i].want);
		if (rows[i].want == 0)
			assert_int_equal(encode_registers(&p, &rows[i].v, &reg), 0);
		assert_int_equal(reg, rows[i].reg);
	}
}

static void mask_holds_the_bits_of_the_field_where_they_stand(void **state)
{
	struct point_opts p = {.type = TYPE_UINT16, .order = ORDER_BIG, .bit = 4, .width = 3};
	uint16_t masks[4];

	(void)state;
	encode_mask(&p, masks);
	assert_int_equal(masks[0], 0x0070);
	p.order = ORDER_GIVEN | ORDER_SWAP_BYTES;
	encode_mask(&p, masks);
	assert_int_equal(masks[0], 0x7000);
	p = (struct point_opts){.type = TYPE_UINT32, .order = ORDER_BIG, .bit = 12, .width = 8};
	encode_mask(&p, masks);
	assert_int_equal(masks[0], 0x000f);
	assert_int_equal(masks[1], 0xf000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_back_from_their_registers),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(text_that_is_no_value_is_refused),
		cmocka_unit_test(strings_fill_their_registers),
		cmocka_unit_test(strings_of_one_character_a_register_come_back),
		cmocka_unit_test(names_stand_for_their_numbers),
		cmocka_unit_test(mask_holds_the_bits_of_the_field_where_they_stand),
	};

	return cmocka_run_group_tests_name("drivers/encode", tests, NULL, NULL);
}
