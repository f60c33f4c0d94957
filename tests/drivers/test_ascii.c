/* SPDX-License-Identifier: MIT */
#include "drivers/ascii.h"

#include "tests/lib/test.h"

#include <string.h>

static enum ascii_outcome take(struct ascii *a, const char *text)
{
	struct cursor c = cursor_on(text, strlen(text));

	return ascii_take(a, &c);
}

/* The frames of the specification's own example (a slave 17 asked for its registers). */
static void build_writes_a_frame_with_its_check(void **state)
{
	static const uint8_t frame[] = {0x11, 0x03, 0x00, 0x6b, 0x00, 0x03};
	uint8_t out[ASCII_MAX];
	size_t len = ascii_build(frame, sizeof(frame), out);

	(void)state;
	assert_int_equal(len, 17);
	assert_memory_equal(out, ":1103006B00037E\r\n", len);
}

static void frame_that_comes_in_pieces_is_whole_at_its_end(void **state)
{
	struct ascii a = {0};

	(void)state;
	assert_int_equal(take(&a, "noise\r\n:1"), ASCII_MORE);
	assert_int_equal(take(&a, "103006B00037"), ASCII_MORE);
	assert_int_equal(take(&a, "E\r"), ASCII_MORE);
	assert_int_equal(take(&a, "\n"), ASCII_FRAME);
	assert_int_equal(a.len, 6);
	assert_memory_equal(a.frame, "\x11\x03\x00\x6b\x00\x03", 6);
}

static void two_frames_in_one_lump_are_two(void **state)
{
	static const char text[] = ":0106000100 0A:01060001000AEE\r\n:0183027A\r\n";
	struct cursor c = cursor_on(text, sizeof(text) - 1);
	struct ascii a = {0};

	(void)state;
	assert_int_equal(ascii_take(&a, &c), ASCII_WRONG);
	assert_int_equal(ascii_take(&a, &c), ASCII_FRAME);
	assert_int_equal(a.frame[1], 6);
	assert_int_equal(ascii_take(&a, &c), ASCII_FRAME);
	assert_int_equal(a.len, 3);
	assert_int_equal(ascii_take(&a, &c), ASCII_MORE);
}

static void frame_that_is_wrong_is_refused(void **state)
{
	static const char *const cases[] = {
		":1103006B00037F\r\n", /* LRC */
		":1103006B00037\r\n",  /* half a byte */
		":1103006B00037E\rX",  /* no line feed */
		":11 3006B00037E\r\n", /* not a digit */
		":\r\n",               /* nothing */
		":00\r\n",             /* an LRC of nothing */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ascii a = {0};

		assert_int_equal(take(&a, cases[i]), ASCII_WRONG);
		assert_int_equal(take(&a, ":1103006b00037e\r\n"), ASCII_FRAME);
	}
}

static void frame_that_never_ends_is_refused_at_its_bound(void **state)
{
	struct ascii a = {0};
	enum ascii_outcome o = take(&a, ":");
	size_t digits = 0;

	(void)state;
	while (o == ASCII_MORE && digits < 10000) {
		o = take(&a, "A");
		digits++;
	}
	assert_int_equal(o, ASCII_WRONG);
	assert_int_equal(digits, 2 * (PDU_MAX + 1) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(build_writes_a_frame_with_its_check),
		cmocka_unit_test(frame_that_comes_in_pieces_is_whole_at_its_end),
		cmocka_unit_test(two_frames_in_one_lump_are_two),
		cmocka_unit_test(frame_that_is_wrong_is_refused),
		cmocka_unit_test(frame_that_never_ends_is_refused_at_its_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
