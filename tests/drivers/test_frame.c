/* SPDX-License-Identifier: MIT */
#include "drivers/frame.h"

#include "tests/lib/test.h"

#include <string.h>

static const enum line_driver framings[] = {
	DRIVER_MODBUS_RTU, DRIVER_RTU_OVER_TCP, DRIVER_MODBUS_TCP, DRIVER_MODBUS_ASCII};
static const uint8_t REPLY[] = {0x11, 0x03, 0x04, 0xae, 0x41, 0x56, 0x52};
enum { NUMBER = 0x1234 };

/* However little of it is there, it is not taken for whole, and what is wanted leads to its end. */
static void frame_is_whole_at_its_last_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(framings); i++) {
		const struct framing *f = framing_of(framings[i]);
		struct frame_look look = {0};
		uint8_t wire[FRAME_WIRE_MAX];
		size_t len = f->build(wire, REPLY, sizeof(REPLY), NUMBER);

		for (size_t part = 0; part < len; part++) {
			assert_int_equal(f->look(wire, part, NUMBER, &look), FRAME_MORE);
			assert_true(look.want > part && look.want <= FRAME_WIRE_MAX);
		}
		assert_int_equal(f->look(wire, len, NUMBER, &look), FRAME_WHOLE);
		assert_int_equal(look.used, len);
		assert_int_equal(look.len, sizeof(REPLY));
		assert_memory_equal(look.frame, REPLY, sizeof(REPLY));
	}
}

static void damaged_frame_is_wrong_and_says_why(void **state)
{
	static const struct {
		enum line_driver driver;
		size_t at;
		const char *reason;
	} cases[] = {
		{DRIVER_MODBUS_RTU, 4, "crc"},
		{DRIVER_MODBUS_RTU, 8, "crc"},
		{DRIVER_MODBUS_ASCII, 6, "lrc"},
		{DRIVER_MODBUS_TCP, 2, "frame"},
		{DRIVER_MODBUS_TCP, 4, "frame"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct framing *f = framing_of(cases[i].driver);
		struct frame_look look = {0};
		uint8_t wire[FRAME_WIRE_MAX];
		size_t len = f->build(wire, REPLY, sizeof(REPLY), NUMBER);

		wire[cases[i].at] ^= 2;
		assert_int_equal(f->look(wire, len, NUMBER, &look), FRAME_WRONG);
		assert_string_equal(look.reason, cases[i].reason);
	}
}

static void reply_of_another_number_is_foreign(void **state)
{
	const struct framing *f = framing_of(DRIVER_MODBUS_TCP);
	struct frame_look look = {0};
	uint8_t wire[FRAME_WIRE_MAX];
	size_t len = f->build(wire, REPLY, sizeof(REPLY), NUMBER - 1);

	(void)state;
	assert_int_equal(f->look(wire, len, NUMBER, &look), FRAME_FOREIGN);
	assert_int_equal(look.used, len);
}

static void noise_before_the_colon_is_part_of_what_was_used(void **state)
{
	const struct framing *f = framing_of(DRIVER_MODBUS_ASCII);
	struct frame_look look = {0};
	uint8_t wire[FRAME_WIRE_MAX] = "\x7f?";
	size_t len = 2 + f->build(wire + 2, REPLY, sizeof(REPLY), NUMBER);

	(void)state;
	memcpy(wire + len, ":11", 3);
	assert_int_equal(f->look(wire, len + 3, NUMBER, &look), FRAME_WHOLE);
	assert_int_equal(look.used, len);
}

static void what_no_frame_begins_with_is_passed_over(void **state)
{
	static const uint8_t glitches[] = {0, 0xff, 0xfe};
	const struct framing *f = framing_of(DRIVER_MODBUS_RTU);

	(void)state;
	for (size_t n = 0; n <= COUNT(glitches); n++) {
		struct frame_look look = {0};
		uint8_t wire[FRAME_WIRE_MAX];
		size_t len = n + f->build(wire + n, REPLY, sizeof(REPLY), NUMBER);

		memcpy(wire, glitches, n);
		assert_int_equal(f->look(wire, len - 1, NUMBER, &look), FRAME_MORE);
		assert_int_equal(look.want, len);
		assert_int_equal(f->look(wire, len, NUMBER, &look), FRAME_WHOLE);
		assert_int_equal(look.used, len);
		assert_int_equal(look.glitches, n);
		assert_memory_equal(look.frame, REPLY, sizeof(REPLY));
	}
}

/* A line that is held low for long is no frame, and its end is not waited for for ever. */
static void many_of_them_are_wrong(void **state)
{
	const struct framing *f = framing_of(DRIVER_MODBUS_RTU);
	const uint8_t wire[FRAME_WIRE_MAX] = {0};
	struct frame_look look = {0};

	(void)state;
	assert_int_equal(f->look(wire, sizeof(wire), NUMBER, &look), FRAME_WRONG);
	assert_string_equal(look.reason, "crc");
}

static void only_modbus_has_a_framing(void **state)
{
	(void)state;
	assert_null(framing_of(DRIVER_SERIAL));
	assert_null(framing_of(DRIVER_SIM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_is_whole_at_its_last_byte),
		cmocka_unit_test(damaged_frame_is_wrong_and_says_why),
		cmocka_unit_test(reply_of_another_number_is_foreign),
		cmocka_unit_test(noise_before_the_colon_is_part_of_what_was_used),
		cmocka_unit_test(what_no_frame_begins_with_is_passed_over),
		cmocka_unit_test(many_of_them_are_wrong),
		cmocka_unit_test(only_modbus_has_a_framing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
