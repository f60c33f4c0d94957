/* SPDX-License-Identifier: MIT */
#include "drivers/grade.h"

#include "tests/lib/test.h"

static void feed(struct grade *g, enum grade_event event, int every, int count)
{
	for (int i = 1; i <= count; i++)
		grade_add(g, i % every == 0 ? event : GRADE_SOUND);
}

static const struct {
	const char *name;
	enum grade_event event;
	int every;
	bool marginal;
} cases[] = {
	{"nothing is wrong", GRADE_SOUND, 1, false},
	{"one damaged of a hundred", GRADE_DAMAGED, 100, false},
	{"one damaged of ten", GRADE_DAMAGED, 10, true},
	{"one missing of ten", GRADE_MISSING, 10, false},
	{"one missing of three", GRADE_MISSING, 3, true},
};

static void wire_is_marginal_by_the_share_of_what_is_damaged(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct grade g = {0};

		feed(&g, cases[i].event, cases[i].every, 600);
		ROW(cases[i].name, g.marginal == cases[i].marginal);
	}
}

static void change_is_told_once_each_way(void **state)
{
	struct grade g = {0};
	int told = 0;

	(void)state;
	for (int i = 1; i <= 600; i++)
		told += grade_add(&g, i % 8 == 0 ? GRADE_DAMAGED : GRADE_SOUND);
	assert_true(g.marginal);
	assert_int_equal(told, 1);
	for (int i = 1; i <= 600; i++)
		told += grade_add(&g, GRADE_SOUND);
	assert_false(g.marginal);
	assert_int_equal(told, 2);
	assert_in_range(grade_permille(&g), 983, GRADE_FULL);
}

static void few_requests_tell_nothing(void **state)
{
	struct grade g = {0};

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_false(grade_add(&g, GRADE_DAMAGED));
	assert_false(g.marginal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wire_is_marginal_by_the_share_of_what_is_damaged),
		cmocka_unit_test(change_is_told_once_each_way),
		cmocka_unit_test(few_requests_tell_nothing),
	};

	return cmocka_run_group_tests_name("drivers/grade", tests, NULL, NULL);
}
