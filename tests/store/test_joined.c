/* SPDX-License-Identifier: MIT */
/* A file that is a piece of memory and counts what is done to it. */
#include "store/joined.h"
#include "tests/lib/test.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 4 * JOINED_BYTES };

struct file {
	sqlite3_file head;
	struct joined *joined;
	uint8_t bytes[SIZE];
	unsigned writes, syncs, closed;
	size_t flushed; /* bytes written when it was flushed last */
	size_t written;
	bool broken; /* writes fail */
};

static struct file *file_of(sqlite3_file *f)
{
	return (struct file *)(void *)f;
}

static int x_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
	struct file *file = file_of(f);

	if (file->broken)
		return SQLITE_FULL;
	assert_true(at + n <= SIZE);
	memcpy(file->bytes + at, bytes, (size_t)n);
	file->writes++;
	file->written += (size_t)n;
	return SQLITE_OK;
}

static int x_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	memcpy(out, file_of(f)->bytes + at, (size_t)n);
	return SQLITE_OK;
}

static int x_sync(sqlite3_file *f, int flags)
{
	(void)flags;
	file_of(f)->syncs++;
	file_of(f)->flushed = file_of(f)->written;
	return SQLITE_OK;
}

static int x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	memset(file_of(f)->bytes + size, 0, (size_t)(SIZE - size));
	return SQLITE_OK;
}

static int x_size(sqlite3_file *f, sqlite3_int64 *size)
{
	*size = (sqlite3_int64)file_of(f)->written;
	return SQLITE_OK;
}

static int x_close(sqlite3_file *f)
{
	file_of(f)->closed++;
	return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 1,
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_write,
	.xTruncate = x_truncate,
	.xSync = x_sync,
	.xFileSize = x_size};

static int setup(void **state)
{
	struct file *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f)
		return -1;
	f->head.pMethods = &methods;
	return joined_new(&f->joined, &f->head);
}

static int teardown(void **state)
{
	struct file *f = *state;

	joined_free(f->joined);
	free(f);
	return 0;
}

static int put(struct file *f, char c, int n, sqlite3_int64 at)
{
	static char bytes[SIZE];

	memset(bytes, c, (size_t)n);
	return f->head.pMethods->xWrite(&f->head, bytes, n, at);
}

static int flush(struct file *f)
{
	return f->head.pMethods->xSync(&f->head, SQLITE_SYNC_NORMAL);
}

static void neighbours_are_one_write_in_front_of_the_flush(void **state)
{
	struct file *f = *state;

	assert_int_equal(put(f, 'a', 24, 32), SQLITE_OK);
	assert_int_equal(put(f, 'b', 4096, 56), SQLITE_OK);
	assert_int_equal(put(f, 'c', 24, 4152), SQLITE_OK);
	assert_int_equal(f->writes, 0);
	assert_int_equal(flush(f), SQLITE_OK);
	assert_int_equal(f->writes, 1);
	assert_int_equal(f->syncs, 1);
	assert_int_equal(f->flushed, 24 + 4096 + 24);
	assert_int_equal(f->bytes[31], 0);
	assert_int_equal(f->bytes[32], 'a');
	assert_int_equal(f->bytes[56], 'b');
	assert_int_equal(f->bytes[4175], 'c');
	assert_int_equal(f->bytes[4176], 0);
	assert_int_equal(flush(f), SQLITE_OK); /* and not a second time */
	assert_int_equal(f->writes, 1);
}

static void what_is_no_neighbour_is_written_behind_what_came_before(void **state)
{
	struct file *f = *state;

	assert_int_equal(put(f, 'a', 100, 0), SQLITE_OK);
	assert_int_equal(put(f, 'b', 100, 200), SQLITE_OK);
	assert_int_equal(f->writes, 1);
	assert_int_equal(put(f, 'c', 50, 250), SQLITE_OK); /* over a part of what is gathered */
	assert_int_equal(f->writes, 2);
	assert_int_equal(put(f, 'd', 100, 0), SQLITE_OK);
	assert_int_equal(flush(f), SQLITE_OK);
	assert_int_equal(f->writes, 4);
	assert_int_equal(f->bytes[0], 'd');
	assert_int_equal(f->bytes[249], 'b');
	assert_int_equal(f->bytes[250], 'c');
}

static void more_than_is_gathered_goes_in_order(void **state)
{
	static const int sizes[] = {JOINED_BYTES, 1, JOINED_BYTES - 1, JOINED_BYTES + 1, 10};
	struct file *f = *state;
	sqlite3_int64 at = 0;

	for (size_t i = 0; i < COUNT(sizes); i++) {
		assert_int_equal(put(f, (char)('a' + i), sizes[i], at), SQLITE_OK);
		at += sizes[i];
	}
	assert_int_equal(flush(f), SQLITE_OK);
	assert_int_equal(f->flushed, at);
	at = 0;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		assert_int_equal(f->bytes[at], 'a' + (int)i);
		at += sizes[i];
		assert_int_equal(f->bytes[at - 1], 'a' + (int)i);
	}
}

static void reads_sizes_and_cuts_see_what_was_written(void **state)
{
	struct file *f = *state;
	sqlite3_int64 size;
	char got[10];

	assert_int_equal(put(f, 'a', 10, 0), SQLITE_OK);
	assert_int_equal(f->head.pMethods->xRead(&f->head, got, 10, 0), SQLITE_OK);
	assert_int_equal(got[9], 'a');
	assert_int_equal(put(f, 'b', 10, 10), SQLITE_OK);
	assert_int_equal(f->head.pMethods->xFileSize(&f->head, &size), SQLITE_OK);
	assert_int_equal(size, 20);
	assert_int_equal(put(f, 'c', 10, 20), SQLITE_OK);
	assert_int_equal(f->head.pMethods->xTruncate(&f->head, 25), SQLITE_OK);
	assert_int_equal(f->bytes[24], 'c');
	assert_int_equal(f->bytes[25], 0);
}

/* Each call that brings a gathered write about. */
static int by_flush(struct file *f)
{
	return flush(f);
}

static int by_write(struct file *f)
{
	return put(f, 'x', 10, 1000);
}

static int by_large_write(struct file *f)
{
	return put(f, 'x', JOINED_BYTES + 1, 10);
}

static int by_read(struct file *f)
{
	char got[10];

	return f->head.pMethods->xRead(&f->head, got, 10, 2000);
}

static int by_size(struct file *f)
{
	sqlite3_int64 size;

	return f->head.pMethods->xFileSize(&f->head, &size);
}

static int by_cut(struct file *f)
{
	return f->head.pMethods->xTruncate(&f->head, 0);
}

static void a_write_that_fails_fails_the_call_that_brought_it_about(void **state)
{
	static int (*const calls[])(struct file * f) = {by_flush, by_write, by_large_write, by_read, by_size, by_cut};
	struct file *f = *state;

	for (size_t i = 0; i < COUNT(calls); i++) {
		f->broken = true;
		assert_int_equal(put(f, 'a', 10, 0), SQLITE_OK);
		assert_int_equal(calls[i](f), SQLITE_FULL);
		assert_int_equal(f->syncs, i); /* not flushed without it */
		/* What had no room is forgotten: what is written in its place stands alone. */
		f->broken = false;
		memset(f->bytes, 0, SIZE);
		assert_int_equal(put(f, 'b', 5, 0), SQLITE_OK);
		assert_int_equal(flush(f), SQLITE_OK);
		assert_int_equal(f->bytes[4], 'b');
		assert_int_equal(f->bytes[5], 0);
		assert_int_equal(f->bytes[1000], 0);
	}
}

static void what_was_never_flushed_is_dropped_at_the_end(void **state)
{
	struct file *f = *state;

	assert_int_equal(put(f, 'a', 10, 0), SQLITE_OK);
	assert_int_equal(f->head.pMethods->xClose(&f->head), SQLITE_OK);
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->writes, 0);
	assert_ptr_equal(f->head.pMethods, &methods);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(neighbours_are_one_write_in_front_of_the_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_no_neighbour_is_written_behind_what_came_before, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_is_gathered_goes_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_sizes_and_cuts_see_what_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_write_that_fails_fails_the_call_that_brought_it_about, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_never_flushed_is_dropped_at_the_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
