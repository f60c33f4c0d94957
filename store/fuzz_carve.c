/* SPDX-License-Identifier: MIT */
/* A database file whose pages may be anything: the search ends, in a time that goes with its size, and each row that is
 * found lies within its bytes and is found again. The rows are not checked for what they hold: their own targets do. */
#include "store/carve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth)
{
	if (!truth)
		abort();
}

/* Every byte is looked at, so that a span beyond its block shows. Some are taken and some not. */
static int look(const struct carve_row *row)
{
	unsigned sum = 0;

	for (size_t i = 0; i < row->data.len; i++)
		sum += row->data.at[i];
	return (sum + row->key) % 8 == 7 ? -EBADMSG : 0;
}

/* The kinds of rows that the queue and the ledger look for, and others. */
static const struct carve_kind kinds[] = {
	{.ints = 0, .check = look},
	{.ints = 1, .check = look, .not_freed = true},
	{.ints = 2, .check = look, .not_freed = true},
	{.ints = CARVE_INTS, .check = look},
};

static size_t walk(struct carve *c)
{
	struct carve_row row;
	uint64_t after = 0;
	size_t count = 0;
	int r;

	while ((r = carve_next(c, after, &row)) == 0) {
		must(row.key > after);
		must(look(&row) == 0);
		after = row.key;
		count++;
	}
	must(r == DB_END);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("carve", MFD_CLOEXEC);
	char path[32];

	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct carve *c;
		size_t count;

		must(carve_new(&c, path, &kinds[i]) == 0);
		count = walk(c);
		must(walk(c) == count);
		carve_free(c);
	}
	close(fd);
	return 0;
}
