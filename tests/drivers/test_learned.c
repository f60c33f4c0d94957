/* SPDX-License-Identifier: MIT */
#include "drivers/blocks.h"
#include "drivers/learned.h"

#include "tests/lib/test.h"

#include <stdlib.h>

enum { POINTS = 20 };

/* A device that is read in blocks until it refuses nothing: `rounds` times everything is asked, and refused blocks are
 * cut as a line does it. The plan is made anew after each round without an open cut. */
struct bench {
	struct point_opts points[POINTS];
	struct device_opts device;
	const struct device_opts *list[1];
	struct line_opts line;
	struct blocks blocks;
	struct learned learned;
	unsigned refused; /* in the last round */
	uint8_t exception;
	bool (*refuses)(unsigned first, unsigned last);
};

static void setup(struct bench *b, unsigned step, bool (*refuses)(unsigned first, unsigned last))
{
	*b = (struct bench){.exception = 2, .refuses = refuses};
	for (unsigned i = 0; i < POINTS; i++)
		b->points[i] = (struct point_opts){.head.name = "p",
			.source = SOURCE_HOLDING,
			.address = (uint16_t)(i * step),
			.type = TYPE_UINT16,
			.every_ms = 1000};
	b->device = (struct device_opts){.head.name = "meter 1",
		.unit = 3,
		.points = {b->points, POINTS},
		.max_registers = 125,
		.max_bits = 2000,
		.max_hole = -1};
	b->list[0] = &b->device;
	b->line = (struct line_opts){.head.name = "l",
		.driver = DRIVER_MODBUS_RTU,
		.baud = 19200,
		.bits = 8,
		.stop = 1,
		.parity = PARITY_EVEN,
		.devices = b->list,
		.device_count = 1};
	assert_int_equal(blocks_plan(&b->blocks, &b->line, 0, 0, &b->learned), 0);
}

static void teardown(struct bench *b)
{
	blocks_fini(&b->blocks);
}

static void refuse(struct bench *b, size_t i)
{
	struct learned_cut cut = {.source = SOURCE_HOLDING,
		.first = b->blocks.list[i].first,
		.last = (uint16_t)(b->blocks.list[i].first + b->blocks.list[i].count - 1),
		.exception = b->exception};
	const struct block *right;

	b->refused++;
	if (blocks_split(&b->blocks, i) == BLOCKS_WHOLE) {
		learned_refused(&b->learned, SOURCE_HOLDING, cut.first, cut.last);
		return;
	}
	right = &b->blocks.list[b->blocks.count - 1];
	cut.left_last = (uint16_t)(b->blocks.list[i].first + b->blocks.list[i].count - 1);
	cut.right_first = right->first;
	learned_cut(&b->learned, &cut);
}

static void ask_all(struct bench *b)
{
	size_t count = b->blocks.count;

	b->refused = 0;
	for (size_t i = 0; i < count; i++) {
		unsigned first = b->blocks.list[i].first, last = first + b->blocks.list[i].count - 1u;

		if (b->refuses(first, last))
			refuse(b, i);
		else
			learned_answered(&b->learned, SOURCE_HOLDING, (uint16_t)first, (uint16_t)last);
	}
}

static void learn(struct bench *b, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		ask_all(b);
		if (b->learned.cut_count > 0)
			continue;
		blocks_fini(&b->blocks);
		assert_int_equal(blocks_plan(&b->blocks, &b->line, 0, 0, &b->learned), 0);
	}
	ask_all(b);
}

static bool holds_7(unsigned first, unsigned last)
{
	return first <= 7 && last >= 7;
}

static bool holds_7_or_13(unsigned first, unsigned last)
{
	return (first <= 7 && last >= 7) || (first <= 13 && last >= 13);
}

static bool crosses_12(unsigned first, unsigned last)
{
	return first < 12 && last >= 12;
}

static bool is_long(unsigned first, unsigned last)
{
	return last - first + 1 > 8;
}

static bool nothing(unsigned first, unsigned last)
{
	return first > last;
}

/* Every other address is wanted; 7 is between two of them. */
static void hole_that_is_refused_is_not_read_along(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, 2, holds_7);
	assert_int_equal(b.blocks.count, 1);
	learn(&b, 20);
	assert_int_equal(b.refused, 0);
	assert_int_equal(b.blocks.count, 2);
	teardown(&b);
}

static void values_at_fault_are_read_alone_and_the_rest_together(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, 1, holds_7_or_13);
	learn(&b, 40);
	assert_int_equal(b.refused, 2);
	assert_int_equal(b.blocks.count, 5);
	/* They are answered after all: one block again. */
	b.refuses = nothing;
	learn(&b, 3);
	assert_int_equal(b.blocks.count, 1);
	teardown(&b);
}

static void edge_between_two_areas_is_not_crossed(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, 1, crosses_12);
	learn(&b, 40);
	assert_int_equal(b.refused, 0);
	assert_int_equal(b.blocks.count, 2);
	assert_int_equal(b.blocks.list[1].first, 12);
	teardown(&b);
}

static void block_that_is_too_long_teaches_how_long_it_may_be(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, 1, is_long);
	b.exception = 3;
	learn(&b, 40);
	assert_int_equal(b.refused, 0);
	assert_true(b.blocks.count <= 4);
	teardown(&b);
}

static void refusal_that_passes_teaches_nothing(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, 2, holds_7);
	ask_all(&b);
	b.refuses = nothing;
	learn(&b, 5);
	assert_int_equal(b.blocks.count, 1);
	teardown(&b);
}

static void lessons_are_the_same_after_a_restart(void **state)
{
	struct bench b;
	struct learned again = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	setup(&b, 2, holds_7);
	learn(&b, 20);
	b.learned.takes_us = 2350;
	assert_int_equal(learned_write(out, &b.line, &b.learned), 0);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "takes 2350 us 3 meter 1\nspan holding 7 7 3 meter 1\n");
	assert_int_equal(learned_read(text, len, &b.line, &again), 0);
	assert_int_equal(again.count, 1);
	assert_true(lesson_counts(&again.lessons[0]));
	assert_int_equal(again.takes_us, 2350);
	/* Another device has taken its place: what the old one taught is passed over. */
	b.device.unit = 4;
	again = (struct learned){0};
	assert_int_equal(learned_read(text, len, &b.line, &again), 2);
	assert_int_equal(again.count, 0);
	assert_int_equal(again.takes_us, 0);
	free(text);
	teardown(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hole_that_is_refused_is_not_read_along),
		cmocka_unit_test(values_at_fault_are_read_alone_and_the_rest_together),
		cmocka_unit_test(edge_between_two_areas_is_not_crossed),
		cmocka_unit_test(block_that_is_too_long_teaches_how_long_it_may_be),
		cmocka_unit_test(refusal_that_passes_teaches_nothing),
		cmocka_unit_test(lessons_are_the_same_after_a_restart),
	};

	return cmocka_run_group_tests_name("drivers/learned", tests, NULL, NULL);
}
