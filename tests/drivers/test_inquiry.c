/* SPDX-License-Identifier: MIT */
#include "drivers/inquiry.h"

#include "tests/lib/test.h"

#include <string.h>

enum { HEAD = 6 };

/* A request as it stands on the wire, from unit and PDU. */
static size_t wrap(uint8_t *out, const uint8_t *frame, size_t len)
{
	const uint8_t head[HEAD] = {0x12, 0x34, 0, 0, 0, (uint8_t)len};

	memcpy(out, head, sizeof(head));
	memcpy(out + HEAD, frame, len);
	return HEAD + len;
}

static const struct request requests[] = {
	{.unit = 1, .function = FC_READ_COILS, .address = 7, .count = 2000},
	{.unit = 247, .function = FC_READ_DISCRETE, .address = 65535, .count = 1},
	{.unit = 0, .function = FC_READ_HOLDING, .address = 0x1234, .count = 125},
	{.unit = 1, .function = FC_READ_INPUT, .address = 65411, .count = 125},
	{.unit = 1, .function = FC_WRITE_COIL, .address = 9, .count = 1, .regs = {1}},
	{.unit = 1, .function = FC_WRITE_REGISTER, .address = 9, .count = 1, .regs = {0xabcd}},
	{.unit = 1, .function = FC_WRITE_COILS, .address = 9, .count = 11, .regs = {1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1}},
	{.unit = 1, .function = FC_WRITE_REGISTERS, .address = 9, .count = 123, .regs = {1, 2, 0xffff}},
	{.unit = 1, .function = FC_MASK_WRITE, .address = 9, .count = 1, .and_mask = 0xf0, .or_mask = 0x0f},
	{.unit = 1,
		.function = FC_WRITE_READ,
		.address = 9,
		.count = 2,
		.read_address = 3,
		.read_count = 125,
		.regs = {5, 6}},
};

static void request_is_read_as_it_was_made(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		uint8_t frame[PDU_MAX], wire[INQUIRY_MAX];
		size_t len = wrap(wire, frame, pdu_build(&requests[i], frame));
		struct inquiry q;

		for (size_t part = 0; part < len; part++)
			assert_int_equal(inquiry_look(wire, part, &q), INQUIRY_MORE);
		assert_int_equal(inquiry_look(wire, len, &q), INQUIRY_WHOLE);
		assert_int_equal(q.used, len);
		assert_int_equal(q.number, 0x1234);
		assert_int_equal(q.refused, 0);
		assert_memory_equal(&q.request, &requests[i], sizeof(q.request));
	}
}

/* What a master makes of the answer is what the device has said. */
static void answer_says_what_the_device_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		struct inquiry q = {.number = 0x1234,
			.unit = requests[i].unit,
			.function = requests[i].function,
			.request = requests[i]};
		struct reply said = {.count = requests[i].function == FC_WRITE_READ ? 125 : requests[i].count}, heard;
		bool bits = pdu_is_bits(requests[i].function);
		uint8_t out[INQUIRY_MAX];
		size_t len;

		for (unsigned k = 0; k < said.count; k++) {
			if (bits)
				said.bits[k] = k % 3 == 0;
			else if (k < PDU_MAX_REGISTERS)
				said.regs[k] = (uint16_t)(0x1100 * k + 1);
		}
		len = inquiry_answer(&q, &said, out);
		assert_memory_equal(out, "\x12\x34\0\0\0", 5);
		assert_int_equal(out[5], len - HEAD);
		assert_int_equal(pdu_match(&q.request, out + HEAD, len - HEAD, &heard), 0);
		if (pdu_is_read(q.function))
			assert_memory_equal(heard.bits, said.bits, said.count * (bits ? 1u : 2u));
	}
}

static void exception_is_passed_on(void **state)
{
	struct inquiry q = {.unit = 3, .function = FC_READ_INPUT};
	struct reply said = {.exception = 4};
	uint8_t out[INQUIRY_MAX];

	(void)state;
	assert_int_equal(inquiry_answer(&q, &said, out), 9);
	assert_memory_equal(out, "\0\0\0\0\0\3\3\x84\4", 9);
}

static void what_no_device_could_do_is_refused(void **state)
{
	static const struct {
		uint8_t frame[16];
		size_t len;
		uint8_t exception;
	} cases[] = {
		{{1, 3, 0, 0, 0, 0}, 6, 3},
		{{1, 3, 0, 0, 0, 126}, 6, 3},
		{{1, 1, 0, 0, 0x07, 0xd1}, 6, 3},
		{{1, 3, 0, 0, 0}, 5, 3},
		{{1, 3, 0, 0, 0, 1, 0}, 7, 3},
		{{1, 3, 0xff, 0xff, 0, 2}, 6, 2},
		{{1, 5, 0, 0, 1, 0}, 6, 3},
		{{1, 15, 0, 0, 0, 9, 1, 0xff}, 8, 3},
		{{1, 15, 0, 0, 0, 124, 16}, 7, 3},
		{{1, 16, 0, 0, 0, 2, 4, 0, 1}, 9, 3},
		{{1, 16, 0, 0, 0, 2, 2, 0, 1}, 9, 3},
		{{1, 22, 0, 0, 0, 1}, 6, 3},
		{{1, 23, 0xff, 0xff, 0, 2, 0, 0, 0, 1, 2, 0, 1}, 13, 2},
		{{1, 23, 0, 0, 0, 1, 0, 0, 0, 0, 0}, 11, 3},
		{{1, 17}, 2, 1},
		{{1, 43, 14, 1, 0}, 5, 1},
		{{1, 0x83, 2}, 3, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t wire[INQUIRY_MAX], out[INQUIRY_MAX];
		size_t len = wrap(wire, cases[i].frame, cases[i].len);
		struct inquiry q;

		assert_int_equal(inquiry_look(wire, len, &q), INQUIRY_WHOLE);
		assert_int_equal(q.used, len);
		assert_int_equal(q.refused, cases[i].exception);
		assert_int_equal(inquiry_refuse(&q, q.refused, out), 9);
		assert_int_equal(out[7], cases[i].frame[1] | 0x80);
	}
}

static void what_is_no_modbus_tcp_is_wrong(void **state)
{
	static const char *const cases[] = {"\0\1\0\1\0\6", "\0\1\0\0\0\1", "\0\1\0\0\0\xff", "\0\1\0\0\1\6", "GET / "};
	struct inquiry q;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(inquiry_look((const uint8_t *)cases[i], HEAD, &q), INQUIRY_WRONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_read_as_it_was_made),
		cmocka_unit_test(answer_says_what_the_device_said),
		cmocka_unit_test(exception_is_passed_on),
		cmocka_unit_test(what_no_device_could_do_is_refused),
		cmocka_unit_test(what_is_no_modbus_tcp_is_wrong),
	};

	return cmocka_run_group_tests_name("drivers/inquiry", tests, NULL, NULL);
}
