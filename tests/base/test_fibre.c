/* SPDX-License-Identifier: MIT */
#include "base/fibre.h"

#include "tests/lib/test.h"

#include <string.h>

struct counter {
	struct fibre *fibre;
	int upto, at;
	size_t touched;
};

static void count(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < c->upto; i++) {
		c->at = i;
		fibre_pause(c->fibre);
	}
	c->at = -1;
}

static void function_that_never_pauses_ends_at_once(void **state)
{
	struct counter c = {.upto = 0};

	(void)state;
	assert_int_equal(fibre_new(&c.fibre), 0);
	assert_true(fibre_run(c.fibre, count, &c));
	assert_int_equal(c.at, -1);
	fibre_free(c.fibre);
}

static void two_fibres_keep_their_places(void **state)
{
	struct counter a = {.upto = 3}, b = {.upto = 5};

	(void)state;
	assert_int_equal(fibre_new(&a.fibre), 0);
	assert_int_equal(fibre_new(&b.fibre), 0);
	assert_false(fibre_run(a.fibre, count, &a));
	assert_false(fibre_run(b.fibre, count, &b));
	for (int i = 1; i < 3; i++) {
		assert_false(fibre_resume(a.fibre));
		assert_false(fibre_resume(b.fibre));
		assert_int_equal(a.at, i);
		assert_int_equal(b.at, i);
	}
	assert_true(fibre_resume(a.fibre));
	assert_false(fibre_resume(b.fibre));
	assert_int_equal(b.at, 3);
	/* The first is free for another function while the second is still under way. */
	a.upto = 1;
	assert_false(fibre_run(a.fibre, count, &a));
	assert_int_equal(a.at, 0);
	assert_true(fibre_resume(a.fibre));
	assert_false(fibre_resume(b.fibre));
	assert_true(fibre_resume(b.fibre));
	fibre_free(a.fibre);
	fibre_free(b.fibre);
}

static size_t deep(struct counter *c, int levels)
{
	volatile char room[1024];
	size_t sum = 0;

	memset((char *)room, levels, sizeof(room));
	if (levels > 0)
		sum = deep(c, levels - 1);
	else
		fibre_pause(c->fibre);
	for (size_t i = 0; i < sizeof(room); i++)
		sum += room[i] == levels;
	return sum;
}

static void go_deep(void *arg)
{
	struct counter *c = arg;

	c->touched = deep(c, c->upto);
}

static void half_of_the_stack_is_whole_after_a_pause(void **state)
{
	/* Levels cost more under the sanitizers, which have red zones between them. */
	struct counter c = {.upto = FIBRE_STACK / 2 / 2048};

	(void)state;
	assert_int_equal(fibre_new(&c.fibre), 0);
	assert_false(fibre_run(c.fibre, go_deep, &c));
	assert_true(fibre_resume(c.fibre));
	assert_int_equal(c.touched, 1024 * (c.upto + 1));
	fibre_free(c.fibre);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function_that_never_pauses_ends_at_once),
		cmocka_unit_test(two_fibres_keep_their_places),
		cmocka_unit_test(half_of_the_stack_is_whole_after_a_pause),
	};

	return cmocka_run_group_tests_name("base/fibre", tests, NULL, NULL);
}
