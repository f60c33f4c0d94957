/* SPDX-License-Identifier: MIT */
/* The look at a file that was not closed: what no sum of a block would find. */
#include "store/db.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { LONG_ENOUGH_MS = 60000, FREE_PAGES_AT = 36 /* in the header: how many there are */ };

static struct db *open_at(const char *path)
{
	const struct db_opts opts = {.sync = true, .max_bytes = 1 << 20, .wal_bytes = 1 << 18};
	struct db *d;

	assert_int_equal(db_open(&d, path, &opts), 0);
	return d;
}

static void fill(struct db *d)
{
	static const uint8_t bytes[10000];
	struct db_block b = {.data = {bytes, sizeof(bytes)}};

	assert_int_equal(db_begin(d), 0);
	for (b.first = 1; b.first <= 20; b.first++) {
		b.last = b.first;
		assert_int_equal(db_block_put(d, &b), 0);
	}
	assert_int_equal(db_commit(d), 0);
	assert_int_equal(db_empty_wal(d), 0);
}

static void damage(const char *path)
{
	int fd = open(path, O_RDWR);
	uint8_t lost = 7;

	assert_int_equal(pwrite(fd, &lost, 1, FREE_PAGES_AT + 3), 1);
	close(fd);
}

static void a_file_that_is_whole_passes_and_one_whose_pages_do_not_add_up_does_not(void **state)
{
	char *dir = tempdir_new(), path[PATH_MAX];
	struct db *d;

	(void)state;
	snprintf(path, sizeof(path), "%s/queue.db", dir);
	d = open_at(path);
	fill(d);
	assert_int_equal(db_check(d, LONG_ENOUGH_MS), 0);
	db_close(d);
	damage(path);
	d = open_at(path);
	assert_int_equal(db_check(d, LONG_ENOUGH_MS), -EBADMSG);
	db_close(d);
	tempdir_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_whole_passes_and_one_whose_pages_do_not_add_up_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
