/* SPDX-License-Identifier: MIT */
/* What a session is subscribed to, against a plain array: few, many, and over the step from one to the other. */
#include "broker/core.h"
#include "broker/sublist.h"
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

enum { REFS = 1 << 16, STEPS = 200000 };

struct model {
	struct broker broker;
	struct session *session;
	bool there[REFS];
	uint32_t count;
};

static struct model *new_model(void)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->session = calloc(1, sizeof(*m->session));
	assert_non_null(m->session);
	m->broker.sessions.seed = 0x5eed;
	m->session->broker = &m->broker;
	return m;
}

static void free_model(struct model *m)
{
	sublist_free(m->session);
	free(m->session);
	free(m);
}

static void add(struct model *m, uint32_t ref)
{
	assert_int_equal(sublist_add(m->session, ref), 0);
	m->there[ref] = true;
	m->count++;
}

static void expect_same(const struct model *m)
{
	const struct session *s = m->session;

	assert_int_equal(s->sub_count, m->count);
	for (uint32_t ref = 0; ref < REFS; ref++) {
		uint32_t at = sublist_find(s, ref);

		assert_int_equal(at < s->sub_count, m->there[ref]);
		if (m->there[ref])
			assert_int_equal(s->subs->refs[at], ref);
	}
}

static void an_empty_list_finds_and_drops_nothing(void **state)
{
	struct model *m = new_model();

	(void)state;
	assert_int_equal(sublist_find(m->session, 7), 0);
	sublist_drop(m->session, 7);
	assert_int_equal(sublist_steps(m->session), 0);
	expect_same(m);
	free_model(m);
}

static void what_comes_and_goes_at_random_is_found_as_long_as_it_is_there(void **state)
{
	struct model *m = new_model();

	(void)state;
	srandom(1);
	for (int step = 0; step < STEPS; step++) {
		/* it grows to thousands and shrinks to few, again and again */
		bool more = random() % 100 < (step / 20000 % 2 == 0 ? 70 : 30);
		uint32_t ref = (uint32_t)random() % REFS;

		if (more && !m->there[ref]) {
			add(m, ref);
		} else if (!more && m->count > 0) {
			bool known = random() % 8 > 0;

			ref = known ? m->session->subs->refs[(uint32_t)random() % m->count] : ref;
			m->count -= m->there[ref] ? 1 : 0;
			m->there[ref] = false;
			sublist_drop(m->session, ref);
		}
		if (step % 20000 == 19999)
			expect_same(m);
	}
	free_model(m);
}

static void the_last_is_taken_back_and_the_steps_stay_through_all_growth(void **state)
{
	struct model *m = new_model();

	(void)state;
	add(m, 0);
	m->session->subs->steps = 17;
	for (uint32_t ref = 1; ref < 3 * SUBLIST_INDEXED; ref++) {
		add(m, ref);
		if (ref % 3 != 0)
			continue;
		sublist_pop(m->session);
		m->there[ref] = false;
		m->count--;
	}
	assert_int_equal(sublist_steps(m->session), 17);
	expect_same(m);
	while (m->session->sub_count > 0)
		sublist_pop(m->session);
	m->count = 0;
	memset(m->there, 0, sizeof(m->there));
	expect_same(m);
	free_model(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_list_finds_and_drops_nothing),
		cmocka_unit_test(what_comes_and_goes_at_random_is_found_as_long_as_it_is_there),
		cmocka_unit_test(the_last_is_taken_back_and_the_steps_stay_through_all_growth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
