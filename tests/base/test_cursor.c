/* SPDX-License-Identifier: MIT */
#include "base/cursor.h"
#include "tests/lib/test.h"

static void numbers_are_big_endian(void **state)
{
	static const uint8_t in[] = {0xfe, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef};
	struct cursor c = cursor_on(in, sizeof(in));

	(void)state;
	assert_int_equal(cursor_u8(&c), 0xfe);
	assert_int_equal(cursor_u16(&c), 0x1234);
	assert_false(cursor_done(&c));
	assert_int_equal(cursor_u32(&c), 0x89abcdefu);
	assert_true(cursor_done(&c));
}

static void asking_past_the_end_is_bad_and_stays_bad(void **state)
{
	static const uint8_t in[] = {1, 2, 3};
	struct cursor c = cursor_on(in, sizeof(in));

	(void)state;
	assert_int_equal(cursor_u32(&c), 0x0102u << 16);
	assert_false(cursor_ok(&c));
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_u16(&c), 0);
	assert_int_equal(cursor_span(&c, 0).len, 0);
	assert_int_equal(cursor_varint(&c), 0);
	assert_false(cursor_done(&c));
}

static void an_empty_cursor_reads_nothing(void **state)
{
	struct cursor c = cursor_on("", 0);

	(void)state;
	assert_true(cursor_done(&c));
	assert_int_equal(cursor_u8(&c), 0);
	assert_false(cursor_ok(&c));
}

static void spans_point_into_the_bytes(void **state)
{
	static const uint8_t in[] = {0, 3, 'a', 'b', 'c', 0, 0, 0, 9, 'x'};
	struct cursor c = cursor_on(in, sizeof(in));
	struct span s = cursor_span16(&c);

	(void)state;
	assert_ptr_equal(s.at, in + 2);
	assert_int_equal(s.len, 3);
	s = cursor_span16(&c);
	assert_int_equal(s.len, 0);
	assert_true(cursor_ok(&c));
	s = cursor_span16(&c); /* says nine, has one */
	assert_int_equal(s.len, 0);
	assert_false(cursor_ok(&c));
}

static void a_span_of_impossible_length_is_refused(void **state)
{
	struct cursor c = cursor_on("abc", 3);

	(void)state;
	assert_int_equal(cursor_span(&c, SIZE_MAX).len, 0);
	assert_false(cursor_ok(&c));
}

static void varints_of_every_length(void **state)
{
	static const struct {
		const char *name;
		uint8_t in[6];
		size_t len;
		bool ok;
		uint32_t value;
		size_t left;
	} row[] = {
		{"0", {0}, 1, true, 0, 0},
		{"127", {0x7f}, 1, true, 127, 0},
		{"128", {0x80, 0x01}, 2, true, 128, 0},
		{"16383", {0xff, 0x7f}, 2, true, 16383, 0},
		{"16384", {0x80, 0x80, 0x01}, 3, true, 16384, 0},
		{"2097151", {0xff, 0xff, 0x7f}, 3, true, 2097151, 0},
		{"2097152", {0x80, 0x80, 0x80, 0x01}, 4, true, 2097152, 0},
		{"largest", {0xff, 0xff, 0xff, 0x7f}, 4, true, 268435455, 0},
		{"stops at its end", {0x05, 0x06}, 2, true, 5, 1},
		{"zero byte inside", {0x80, 0x80, 0x01, 0xff}, 4, true, 16384, 1},
		{"0 in two bytes", {0x80, 0x00}, 2, false, 0, 0},
		{"1 in two bytes", {0x81, 0x00}, 2, false, 0, 0},
		{"127 in three bytes", {0xff, 0x80, 0x00}, 3, false, 0, 0},
		{"128 in four bytes", {0x80, 0x81, 0x80, 0x00}, 4, false, 0, 0},
		{"five bytes", {0xff, 0xff, 0xff, 0xff, 0x01}, 5, false, 0, 0},
		{"five bytes of nothing", {0x80, 0x80, 0x80, 0x80, 0x00}, 5, false, 0, 0},
		{"cut after one", {0x80}, 1, false, 0, 0},
		{"cut after three", {0x80, 0x80, 0x80}, 3, false, 0, 0},
		{"empty", {0}, 0, false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct cursor c = cursor_on(row[i].in, row[i].len);
		uint32_t value = cursor_varint(&c);

		ROW(row[i].name, cursor_ok(&c) == row[i].ok);
		ROW(row[i].name, value == row[i].value);
		if (row[i].ok)
			ROW(row[i].name, cursor_left(&c) == row[i].left);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_big_endian),
		cmocka_unit_test(asking_past_the_end_is_bad_and_stays_bad),
		cmocka_unit_test(an_empty_cursor_reads_nothing),
		cmocka_unit_test(spans_point_into_the_bytes),
		cmocka_unit_test(a_span_of_impossible_length_is_refused),
		cmocka_unit_test(varints_of_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
