/* SPDX-License-Identifier: MIT */
#include "broker/window.h"
#include "tests/lib/test.h"

static void ids_are_handed_out_in_turn_and_never_zero(void **state)
{
	struct window w = {.next = 65534};

	(void)state;
	assert_int_equal(window_put(&w)->id, 65534);
	assert_int_equal(window_put(&w)->id, 65535);
	assert_int_equal(window_put(&w)->id, 1);
	assert_int_equal(window_put(&w)->id, 2);
	assert_int_equal(w.used, 4);
	window_fini(&w);
}

static void all_65535_ids_can_be_in_use_and_no_more(void **state)
{
	struct window w = {0};

	(void)state;
	for (int i = 1; i <= 65535; i++)
		assert_int_equal(window_put(&w)->id, i);
	assert_null(window_put(&w));
	window_drop(&w, window_find(&w, 4711));
	assert_int_equal(window_put(&w)->id, 4711);
	assert_null(window_put(&w));
	window_fini(&w);
}

static void an_old_id_in_use_is_stepped_over(void **state)
{
	struct window w = {0};

	(void)state;
	window_put(&w); /* 1 stays */
	for (int round = 0; round < 65535; round++) {
		struct delivery *d = window_put(&w);

		assert_non_null(d);
		assert_int_not_equal(d->id, 1);
		assert_int_not_equal(d->id, 0);
		window_drop(&w, d);
	}
	assert_int_equal(w.used, 1);
	assert_non_null(window_find(&w, 1));
	window_fini(&w);
}

static unsigned walked(const struct window *w)
{
	const struct delivery *d = NULL;
	unsigned n = 0;

	while ((d = window_next(w, d)) != NULL)
		n++;
	return n;
}

static void walking_misses_none_after_an_old_id_was_stepped_over(void **state)
{
	struct window w = {0};

	(void)state;
	window_put(&w); /* 1 stays */
	for (int i = 2; i <= 65535; i++)
		window_put(&w);
	for (uint16_t id = 2; id <= 10; id++)
		window_drop(&w, window_find(&w, id));
	assert_int_equal(window_put(&w)->id, 2);
	assert_int_equal(walked(&w), w.used);
	window_fini(&w);
}

static void an_id_that_is_asked_for_must_be_behind_the_others(void **state)
{
	struct window w = {.marked = 1};

	(void)state;
	assert_null(window_put_as(&w, 0));
	assert_int_equal(window_put_as(&w, 60000)->id, 60000);
	assert_int_equal(window_put_as(&w, 65535)->id, 65535);
	assert_int_equal(window_put_as(&w, 9)->id, 9);
	assert_null(window_put_as(&w, 9));
	assert_null(window_put_as(&w, 5));
	assert_null(window_put_as(&w, 65000));
	window_mark(&w, window_find(&w, 9))->number = 7;
	assert_int_equal(window_put(&w)->id, 10);
	for (int i = 0; i < 600; i++)
		window_put(&w);
	assert_int_equal(window_mark(&w, window_find(&w, 9))->number, 7);
	assert_int_equal(window_mark(&w, window_find(&w, 10))->number, 0);
	assert_int_equal(walked(&w), w.used);
	window_fini(&w);
}

static void walking_yields_the_order_of_sending_across_the_wrap(void **state)
{
	struct window w = {.next = 65530};
	struct delivery *d = NULL;
	uint16_t id = 65530;

	(void)state;
	for (int i = 0; i < 40; i++)
		window_put(&w);
	window_drop(&w, window_find(&w, 65530)); /* the oldest, and one within */
	window_drop(&w, window_find(&w, 3));
	for (int seen = 0; seen < 38; seen++) {
		id = id == 65535 ? 1 : (uint16_t)(id + 1);
		if (id == 3)
			id++;
		d = window_next(&w, d);
		assert_non_null(d);
		assert_int_equal(d->id, id);
	}
	assert_null(window_next(&w, d));
	window_fini(&w);
}

static void dropping_in_any_order_leaves_the_rest(void **state)
{
	uint64_t seed = 3;
	struct window w = {0};
	bool in_use[65536] = {0};
	uint32_t used = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint16_t id = (uint16_t)test_random(&seed);

		if (test_random(&seed) % 3 > 0) {
			struct delivery *d = window_put(&w);

			if (!d) {
				assert_int_equal(used, 65535);
				continue;
			}
			assert_false(in_use[d->id]);
			in_use[d->id] = true;
			used++;
		} else if (window_find(&w, id)) {
			assert_true(in_use[id]);
			window_drop(&w, window_find(&w, id));
			in_use[id] = false;
			used--;
		}
		assert_int_equal(w.used, used);
	}
	for (uint32_t id = 1; id < 65536; id++)
		assert_int_equal(window_find(&w, (uint16_t)id) != NULL, in_use[id]);
	window_fini(&w);
}

static void the_set_holds_what_was_added_whatever_the_ids(void **state)
{
	static const uint16_t ids[] = {1, 65535, 32768, 256, 512, 513, 7, 15, 23};
	struct idset s = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		assert_false(idset_has(&s, ids[i]));
		assert_int_equal(idset_add(&s, ids[i], (unsigned)(i % 3)), 0);
		assert_int_equal(idset_add(&s, ids[i], (unsigned)(i % 3)), 0);
	}
	assert_int_equal(s.used, COUNT(ids));
	assert_false(idset_has(&s, 0));
	for (size_t i = 0; i < COUNT(ids); i++) {
		assert_int_equal(idset_flags(&s, ids[i]), i % 3);
		assert_true(idset_drop(&s, ids[i]));
	}
	assert_false(idset_drop(&s, 7));
	assert_int_equal(s.used, 0);
	idset_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_handed_out_in_turn_and_never_zero),
		cmocka_unit_test(all_65535_ids_can_be_in_use_and_no_more),
		cmocka_unit_test(an_old_id_in_use_is_stepped_over),
		cmocka_unit_test(walking_misses_none_after_an_old_id_was_stepped_over),
		cmocka_unit_test(an_id_that_is_asked_for_must_be_behind_the_others),
		cmocka_unit_test(walking_yields_the_order_of_sending_across_the_wrap),
		cmocka_unit_test(dropping_in_any_order_leaves_the_rest),
		cmocka_unit_test(the_set_holds_what_was_added_whatever_the_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
