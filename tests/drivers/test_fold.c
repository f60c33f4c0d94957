/* SPDX-License-Identifier: MIT */
#include "drivers/fold.h"

#include "drivers/encode.h"
#include "tests/lib/test.h"

#include <math.h>

static struct point_opts point(int aggregate)
{
	return (struct point_opts){.aggregate = aggregate, .window_ms = 60000, .scale = 1, .decimals = 2};
}

static struct value whole(int64_t i)
{
	return (struct value){.kind = VALUE_INT, .i = i};
}

static void each_aggregate_is_what_it_says(void **state)
{
	static const struct {
		int aggregate;
		double want;
	} rows[] = {{AGGREGATE_MEAN, 3.67}, {AGGREGATE_MIN, 2}, {AGGREGATE_MAX, 5}, {AGGREGATE_FIRST, 4},
		{AGGREGATE_LAST, 2}, {AGGREGATE_COUNT, 3}};
	static const int64_t readings[] = {4, 5, 2};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct point_opts p = point(rows[i].aggregate);
		struct fold w = {.count = 0};
		struct value v;

		for (size_t k = 0; k < COUNT(readings); k++) {
			v = whole(readings[k]);
			fold_add(&w, &p, &v, 1000 + (int64_t)k);
		}
		v = fold_value(&w, &p);
		assert_true(fabs(encode_number(&v) - rows[i].want) < 1e-9);
		assert_int_equal(w.first_ms, 1000);
		assert_int_equal(w.last_ms, 1002);
	}
}

static void mean_of_a_bool_is_the_part_that_was_true(void **state)
{
	struct point_opts p = point(AGGREGATE_MEAN);
	struct fold w = {.count = 0};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct value v = {.kind = VALUE_BOOL, .b = i == 0};

		fold_add(&w, &p, &v, i);
	}
	assert_true(fabs(fold_value(&w, &p).r - 0.25) < 1e-9);
}

static void fold_ends_at_its_full_minute_and_when_the_clock_is_set(void **state)
{
	struct point_opts p = point(AGGREGATE_MEAN);
	struct fold w = {.count = 0};
	struct value v = whole(1);

	(void)state;
	assert_false(fold_ends(&w, &p, 59999)); /* nothing is in it */
	fold_add(&w, &p, &v, 59000);
	assert_false(fold_ends(&w, &p, 59999));
	assert_true(fold_ends(&w, &p, 60000));
	assert_true(fold_ends(&w, &p, 10 * 60000));
	fold_add(&w, &p, &v, 59500);
	w.count = 0;
	fold_add(&w, &p, &v, 600000);
	assert_true(fold_ends(&w, &p, 59000)); /* set back */
}

static void texts_are_counted(void **state)
{
	struct point_opts p = point(AGGREGATE_COUNT);
	const struct value v = {.kind = VALUE_TEXT, .text = {"a", 1}};
	struct fold w = {.count = 0};

	(void)state;
	fold_add(&w, &p, &v, 1);
	fold_add(&w, &p, &v, 2);
	assert_int_equal(fold_value(&w, &p).u, 2);
	assert_int_equal(w.min.kind, VALUE_NONE);
}

static void mean_of_what_overflows_is_still_a_number(void **state)
{
	struct point_opts p = point(AGGREGATE_MEAN);
	const struct value v = {.kind = VALUE_REAL, .r = 1.7e308};
	struct fold w = {.count = 0};

	(void)state;
	fold_add(&w, &p, &v, 1);
	fold_add(&w, &p, &v, 2);
	assert_true(isfinite(fold_value(&w, &p).r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_aggregate_is_what_it_says),
		cmocka_unit_test(mean_of_a_bool_is_the_part_that_was_true),
		cmocka_unit_test(fold_ends_at_its_full_minute_and_when_the_clock_is_set),
		cmocka_unit_test(texts_are_counted),
		cmocka_unit_test(mean_of_what_overflows_is_still_a_number),
	};

	return cmocka_run_group_tests_name("drivers/fold", tests, NULL, NULL);
}
