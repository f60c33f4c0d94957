/* SPDX-License-Identifier: MIT */
#include "drivers/doubt.h"

#include "tests/lib/test.h"

#include <string.h>

enum { KEEP_US = 1000000 };

static const struct request READ_TWO = {.unit = 7, .function = FC_READ_HOLDING, .address = 10, .count = 2};
static const struct request READ_FOUR = {.unit = 7, .function = FC_READ_HOLDING, .address = 10, .count = 4};
static const struct request WRITE = {.unit = 7, .function = FC_WRITE_REGISTER, .address = 3, .count = 1, .regs = {5}};

/* Unit and PDU of what answers them. */
static const uint8_t TWO[] = {7, 3, 4, 0, 1, 0, 2}, FOUR[] = {7, 3, 8, 0, 1, 0, 2, 0, 3, 0, 4},
		     REFUSED[] = {7, 0x83, 2}, WRITTEN[] = {7, 6, 0, 3, 0, 5}, WRITTEN_ELSE[] = {7, 6, 0, 3, 0, 6};

static unsigned heard_of;

static void on_late(void *ctx, uint8_t unit, uint8_t function)
{
	(void)ctx;
	(void)function;
	heard_of += unit;
}

static struct doubt doubt(void)
{
	heard_of = 0;
	return (struct doubt){.framing = framing_of(DRIVER_MODBUS_RTU), .keep_us = KEEP_US, .late = on_late};
}

static void what_looks_the_same_is_covered_and_nothing_else(void **state)
{
	static const struct {
		const char *name;
		struct request q;
		bool covered;
	} cases[] = {
		{"the same", {.unit = 7, .function = FC_READ_HOLDING, .address = 10, .count = 2}, true},
		{"another address", {.unit = 7, .function = FC_READ_HOLDING, .address = 99, .count = 2}, true},
		{"another length", {.unit = 7, .function = FC_READ_HOLDING, .address = 10, .count = 3}, false},
		{"another function", {.unit = 7, .function = FC_READ_INPUT, .address = 10, .count = 2}, false},
		{"another unit", {.unit = 8, .function = FC_READ_HOLDING, .address = 10, .count = 2}, false},
		{"the same write", {.unit = 7, .function = FC_WRITE_REGISTER, .address = 3, .regs = {5}}, true},
		{"another value", {.unit = 7, .function = FC_WRITE_REGISTER, .address = 3, .regs = {6}}, false},
		{"bits in as many bytes", {.unit = 7, .function = FC_READ_COILS, .count = 12}, true},
		{"bits in fewer bytes", {.unit = 7, .function = FC_READ_COILS, .count = 8}, false},
		{"who it is", {.unit = 7, .function = FC_IDENTIFY, .code = IDENTIFY_BASIC}, true},
	};
	static const struct request coils = {.unit = 7, .function = FC_READ_COILS, .count = 16},
				    identify = {.unit = 7, .function = FC_IDENTIFY, .code = IDENTIFY_REGULAR};
	struct doubt d = doubt();

	(void)state;
	doubt_add(&d, &READ_TWO, 0);
	doubt_add(&d, &WRITE, 0);
	doubt_add(&d, &coils, 0);
	doubt_add(&d, &identify, 0);
	for (size_t i = 0; i < COUNT(cases); i++)
		ROW(cases[i].name, doubt_covers(&d, &cases[i].q, 0) == cases[i].covered);
}

static void late_reply_ends_the_doubt_of_what_was_asked_before_it(void **state)
{
	struct doubt d = doubt();

	(void)state;
	doubt_add(&d, &READ_TWO, 0);
	doubt_add(&d, &WRITE, 0);
	doubt_add(&d, &READ_FOUR, 0);
	assert_false(doubt_heard(&d, WRITTEN_ELSE, sizeof(WRITTEN_ELSE)));
	assert_int_equal(heard_of, 0);
	assert_true(doubt_heard(&d, WRITTEN, sizeof(WRITTEN)));
	assert_int_equal(heard_of, 7);
	assert_false(doubt_covers(&d, &READ_TWO, 0));
	assert_true(doubt_covers(&d, &READ_FOUR, 0));
	assert_false(doubt_heard(&d, TWO, sizeof(TWO)));
	assert_true(doubt_heard(&d, FOUR, sizeof(FOUR)));
	assert_int_equal(d.count, 0);
}

/* An exception may answer either; the first one is taken, so that the second stays in doubt. */
static void exception_answers_the_oldest_of_its_function(void **state)
{
	struct doubt d = doubt();

	(void)state;
	doubt_add(&d, &READ_TWO, 0);
	doubt_add(&d, &READ_FOUR, 0);
	assert_true(doubt_heard(&d, REFUSED, sizeof(REFUSED)));
	assert_false(doubt_covers(&d, &READ_TWO, 0));
	assert_true(doubt_covers(&d, &READ_FOUR, 0));
}

static void answer_settles_its_unit_alone(void **state)
{
	struct request other = READ_TWO;
	struct doubt d = doubt();

	(void)state;
	other.unit = 8;
	doubt_add(&d, &READ_TWO, 0);
	doubt_add(&d, &other, 0);
	doubt_settle(&d, 7);
	assert_false(doubt_covers(&d, &READ_TWO, 0));
	assert_true(doubt_covers(&d, &other, 0));
}

static void what_is_too_old_and_what_is_too_much_is_forgotten(void **state)
{
	struct request q = READ_TWO;
	struct doubt d = doubt();

	(void)state;
	doubt_add(&d, &READ_FOUR, 0);
	for (int i = 0; i < DOUBT_CAP; i++)
		doubt_add(&d, &q, KEEP_US);
	assert_int_equal(d.count, DOUBT_CAP);
	assert_false(doubt_covers(&d, &READ_FOUR, KEEP_US));
	assert_true(doubt_covers(&d, &q, 2 * KEEP_US));
	assert_false(doubt_covers(&d, &q, 2 * KEEP_US + 1));
	assert_int_equal(d.count, 0);
}

/* Byte by byte, while nobody is asked. */
static size_t stray(struct doubt *d, const uint8_t *frame, size_t len, int64_t at_us)
{
	uint8_t bytes[64];
	size_t noise = 0, whole = d->framing->build(bytes, frame, len, 0);

	for (size_t i = 0; i < whole; i++)
		noise += doubt_stray(d, bytes + i, 1, at_us + (int64_t)i);
	return noise;
}

static void late_reply_between_requests_is_no_noise(void **state)
{
	struct doubt d = doubt();

	(void)state;
	doubt_add(&d, &READ_TWO, 0);
	assert_int_equal(stray(&d, TWO, sizeof(TWO), 10), 0);
	assert_int_equal(heard_of, 7);
	assert_int_equal(d.count, 0);
}

static void what_nobody_owes_is_noise(void **state)
{
	struct doubt d = doubt();

	(void)state;
	assert_int_equal(stray(&d, TWO, sizeof(TWO), 10), sizeof(TWO) + 2);
	doubt_add(&d, &READ_TWO, 0);
	assert_int_equal(stray(&d, FOUR, sizeof(FOUR), 20), sizeof(FOUR) + 2);
	/* A begin of three bytes is known for noise once the rest of it cannot come any more. */
	assert_int_equal(doubt_stray(&d, TWO, 3, 1000), 0);
	assert_int_equal(stray(&d, TWO, sizeof(TWO), 1000 + d.framing->gap_us + 1), 3);
	assert_int_equal(heard_of, 7);
}

static void loopback_comes_back_with_its_number(void **state)
{
	struct request q = {.unit = 7, .function = FC_LOOPBACK, .count = 0x1234};
	uint8_t frame[PDU_MAX];
	struct reply a;

	(void)state;
	assert_int_equal(pdu_build(&q, frame), 6);
	assert_memory_equal(frame, "\x07\x08\x00\x00\x12\x34", 6);
	assert_int_equal(pdu_match(&q, frame, 6, &a), 0);
	frame[5]++;
	assert_int_equal(pdu_match(&q, frame, 6, &a), PDU_FOREIGN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_looks_the_same_is_covered_and_nothing_else),
		cmocka_unit_test(late_reply_ends_the_doubt_of_what_was_asked_before_it),
		cmocka_unit_test(exception_answers_the_oldest_of_its_function),
		cmocka_unit_test(answer_settles_its_unit_alone),
		cmocka_unit_test(what_is_too_old_and_what_is_too_much_is_forgotten),
		cmocka_unit_test(late_reply_between_requests_is_no_noise),
		cmocka_unit_test(what_nobody_owes_is_noise),
		cmocka_unit_test(loopback_comes_back_with_its_number),
	};

	return cmocka_run_group_tests_name("drivers/doubt", tests, NULL, NULL);
}
