/* SPDX-License-Identifier: MIT */
#include "drivers/pdu.h"

#include "tests/lib/test.h"

struct frame {
	const char *bytes;
	size_t len;
};
#define FRAME(text)                                                                                                    \
	{                                                                                                              \
		text, sizeof(text) - 1                                                                                 \
	}

static const uint8_t *at(struct frame f)
{
	return (const uint8_t *)f.bytes;
}

/* Each function with its request, as it stands between unit and CRC, and the reply it is answered by. */
static void every_function_is_built_and_its_reply_matched(void **state)
{
	static const struct {
		struct request q;
		struct frame request, reply;
	} cases[] = {
		{{.unit = 17, .function = FC_READ_COILS, .address = 0x13, .count = 10}, FRAME("\x11\1\0\x13\0\xa"),
			FRAME("\x11\1\2\xcd\1")},
		{{.unit = 17, .function = FC_READ_HOLDING, .address = 0x6b, .count = 2}, FRAME("\x11\3\0\x6b\0\2"),
			FRAME("\x11\3\4\xae\x41\x56\x52")},
		{{.unit = 17, .function = FC_WRITE_COIL, .address = 0xac, .count = 1, .regs = {1}},
			FRAME("\x11\5\0\xac\xff\0"), FRAME("\x11\5\0\xac\xff\0")},
		{{.unit = 17, .function = FC_WRITE_REGISTERS, .address = 1, .count = 2, .regs = {10, 258}},
			FRAME("\x11\x10\0\1\0\2\4\0\xa\1\2"), FRAME("\x11\x10\0\1\0\2")},
		{{.unit = 17, .function = FC_MASK_WRITE, .address = 4, .and_mask = 0xf2, .or_mask = 0x25},
			FRAME("\x11\x16\0\4\0\xf2\0\x25"), FRAME("\x11\x16\0\4\0\xf2\0\x25")},
		{{.unit = 17,
			 .function = FC_WRITE_READ,
			 .address = 14,
			 .count = 1,
			 .regs = {0xff},
			 .read_address = 3,
			 .read_count = 2},
			FRAME("\x11\x17\0\3\0\2\0\xe\0\1\2\0\xff"), FRAME("\x11\x17\4\0\xfe\xa\xcd")},
		{{.unit = 17, .function = FC_IDENTIFY, .code = IDENTIFY_BASIC, .object = 0}, FRAME("\x11\x2b\xe\1\0"),
			FRAME("\x11\x2b\xe\1\1\0\0\2\0\4Acme\1\2M1")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame want = cases[i].request, got = cases[i].reply;
		uint8_t out[PDU_MAX];
		struct reply a;

		assert_int_equal(pdu_build(&cases[i].q, out), want.len);
		assert_memory_equal(out, want.bytes, want.len);
		assert_int_equal(pdu_match(&cases[i].q, at(got), got.len, &a), 0);
		assert_int_equal(a.exception, 0);
		for (size_t len = 0; len < got.len; len++)
			assert_true(pdu_need(at(got), len) > len);
		assert_int_equal(pdu_need(at(got), got.len), got.len);
	}
}

static void write_read_gives_what_was_read(void **state)
{
	struct request q = {.unit = 1, .function = FC_WRITE_READ, .count = 3, .read_count = 1};
	struct reply a;

	(void)state;
	assert_int_equal(pdu_match(&q, (const uint8_t *)"\1\x17\2\x12\x34", 5, &a), 0);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.regs[0], 0x1234);
	/* as many registers as were written are not what was asked for */
	assert_int_equal(pdu_match(&q, (const uint8_t *)"\1\x17\6\1\2\3\4\5\6", 9, &a), PDU_FOREIGN);
}

static void exception_of_any_function_is_an_answer(void **state)
{
	static const uint8_t functions[] = {1, 3, 6, 16, 22, 23, 43};
	struct reply a;

	(void)state;
	for (size_t i = 0; i < sizeof(functions); i++) {
		struct request q = {.unit = 9, .function = functions[i], .count = 1, .read_count = 1};
		uint8_t frame[] = {9, functions[i] | 0x80, 2};

		assert_int_equal(pdu_need(frame, 3), 3);
		assert_int_equal(pdu_match(&q, frame, 3, &a), 0);
		assert_int_equal(a.exception, 2);
	}
}

static void objects_are_walked_one_by_one(void **state)
{
	struct request q = {.unit = 1, .function = FC_IDENTIFY, .code = IDENTIFY_BASIC};
	static const char reply[] = "\1\x2b\xe\1\x81\xff\2\2\0\4Acme\1\0";
	const uint8_t *text;
	size_t walk = 0, len;
	struct reply a;
	uint8_t id;

	(void)state;
	assert_int_equal(pdu_match(&q, (const uint8_t *)reply, sizeof(reply) - 1, &a), 0);
	assert_true(a.objects.more);
	assert_int_equal(a.objects.next, 2);
	assert_true(pdu_object(&a.objects, &walk, &id, &text, &len));
	assert_int_equal(id, 0);
	assert_int_equal(len, 4);
	assert_memory_equal(text, "Acme", 4);
	assert_true(pdu_object(&a.objects, &walk, &id, &text, &len));
	assert_int_equal(id, 1);
	assert_int_equal(len, 0);
	assert_false(pdu_object(&a.objects, &walk, &id, &text, &len));
}

static void object_that_passes_the_end_is_not_given(void **state)
{
	struct pdu_objects o = {.len = 4, .bytes = {0, 9, 'a', 'b'}};
	const uint8_t *text;
	size_t walk = 0, len;
	uint8_t id;

	(void)state;
	assert_false(pdu_object(&o, &walk, &id, &text, &len));
}

static void reply_to_something_else_is_foreign(void **state)
{
	struct request q = {.unit = 1, .function = FC_IDENTIFY, .code = IDENTIFY_BASIC};
	struct reply a;

	(void)state;
	assert_int_equal(pdu_match(&q, (const uint8_t *)"\1\x2b\xe\2\1\0\0\0", 8, &a), PDU_FOREIGN);
	assert_int_equal(pdu_match(&q, (const uint8_t *)"\2\x2b\xe\1\1\0\0\0", 8, &a), PDU_FOREIGN);
	assert_int_equal(pdu_match(&q, (const uint8_t *)"\1\x2b\xd\1\1\0\0\0", 8, &a), PDU_FOREIGN);
	assert_int_equal(pdu_match(&q, (const uint8_t *)"\1\x2b\xe\1\1\0\0", 7, &a), PDU_FOREIGN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_function_is_built_and_its_reply_matched),
		cmocka_unit_test(write_read_gives_what_was_read),
		cmocka_unit_test(exception_of_any_function_is_an_answer),
		cmocka_unit_test(objects_are_walked_one_by_one),
		cmocka_unit_test(object_that_passes_the_end_is_not_given),
		cmocka_unit_test(reply_to_something_else_is_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
