/* SPDX-License-Identifier: MIT */
#include "store/book.h"
#include "tests/lib/test.h"

static struct book book;

static int teardown(void **state)
{
	(void)state;
	book_fini(&book);
	return 0;
}

/* A leaf of `count` entries of ten bytes from `first` on, each `step` behind the one before. */
static struct leaf *make(uint64_t first, size_t count, uint64_t step)
{
	static const uint8_t text[10] = "0123456789";
	struct folio_entry e[64];
	struct leaf *l;

	for (size_t i = 0; i < count; i++)
		e[i] = (struct folio_entry){first + i * step, {text, sizeof(text)}};
	l = leaf_pack(e, count);
	assert_non_null(l);
	return l;
}

static struct leaf *add(uint64_t first, size_t count, uint64_t step)
{
	struct leaf *l = make(first, count, step);

	assert_int_equal(book_add_take(&book, l), 0);
	return l;
}

static void an_entry_is_found_with_and_without_holes(void **state)
{
	(void)state;
	add(1, 10, 1);
	add(100, 10, 7);
	for (uint64_t n = 0; n < 200; n++)
		assert_int_equal(
			book_has(&book, n), (n >= 1 && n <= 10) || (n >= 100 && n <= 163 && (n - 100) % 7 == 0));
}

static void a_drop_is_counted_once(void **state)
{
	(void)state;
	add(1, 10, 1);
	assert_true(book_drop(&book, 4));
	assert_false(book_drop(&book, 4));
	assert_false(book_drop(&book, 11));
	assert_int_equal(book.live, 9);
	assert_int_equal(book.live_bytes, 90);
}

static size_t dirty_count(void)
{
	size_t n = 0;

	for (struct leaf *l = book.dirty; l; l = l->next_dirty)
		n++;
	return n;
}

static void what_changed_is_dirty_until_it_is_written(void **state)
{
	(void)state;
	add(1, 10, 1);
	add(20, 10, 1);
	assert_int_equal(dirty_count(), 2);
	book_written(&book);
	assert_int_equal(dirty_count(), 0);
	book_drop(&book, 25);
	book_drop(&book, 26);
	assert_int_equal(dirty_count(), 1);
	assert_true(book.dirty->in_row);
	assert_null(book.dirty->blob);
}

/* The dead bits of a leaf, read back with its bytes, give the same leaf. */
static void a_leaf_comes_back_from_its_row(void **state)
{
	struct leaf *l = add(50, 20, 3), *again;
	uint8_t bits[3];

	(void)state;
	book_drop(&book, 50);
	book_drop(&book, 53 + 3 * 8);
	assert_int_equal(leaf_dead_bytes(l), sizeof(bits));
	leaf_put_dead(l, bits);
	assert_int_equal(leaf_read(&again, (struct span){l->blob, l->bytes}, (struct span){bits, sizeof(bits)},
				 l->first, l->last),
		0);
	assert_int_equal(again->live, 18);
	assert_int_equal(again->live_bytes, 180);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(leaf_lives(again, i), i != 0 && i != 9);
	leaf_free(again);
	assert_true(leaf_read(&again, (struct span){l->blob, l->bytes}, (struct span){0}, l->first, l->last + 1) < 0);
}

static void leaves_that_are_empty_are_swept_when_they_are_many(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		add(i * 10 + 1, 1, 1);
	book_written(&book);
	for (uint64_t i = 0; i < 90; i++)
		book_drop(&book, i * 10 + 1);
	book_written(&book);
	assert_int_equal(book.empty, 90);
	book_sweep(&book);
	assert_int_equal(book.count, 10);
	assert_true(book_has(&book, 991));
	assert_false(book_has(&book, 1));
	assert_int_equal(book.live, 10);
}

static void a_run_is_replaced_by_one(void **state)
{
	uint64_t bytes;

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		add(i * 10 + 1, 5, 1);
	book_written(&book);
	bytes = book.bytes;
	book_replace_take(&book, 1, 3, make(11, 15, 1));
	assert_int_equal(book.count, 3);
	assert_int_equal(book.live, 25);
	assert_true(book.bytes < bytes);
	assert_true(book_has(&book, 1) && book_has(&book, 25) && book_has(&book, 45));
	assert_false(book_has(&book, 35));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(an_entry_is_found_with_and_without_holes, teardown),
		cmocka_unit_test_teardown(a_drop_is_counted_once, teardown),
		cmocka_unit_test_teardown(what_changed_is_dirty_until_it_is_written, teardown),
		cmocka_unit_test_teardown(a_leaf_comes_back_from_its_row, teardown),
		cmocka_unit_test_teardown(leaves_that_are_empty_are_swept_when_they_are_many, teardown),
		cmocka_unit_test_teardown(a_run_is_replaced_by_one, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
