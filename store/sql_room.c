/* SPDX-License-Identifier: MIT */
/* The file of a database does not shrink: what it does not need any more stands on its free list. Its trunk pages name
 * the others, the leaves, whose content nobody reads; a hole in the place of a leaf is as good as the page. The list is
 * believed as far as SQLite believes it: it would write to the same pages next. */
#include "store/sql.h"

#include "base/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_TRUNK = 32, LEAVES_MAX = DB_PAGE / 4 - 2, GROW_PAGES = 256 };

static int read_page(int fd, uint32_t page, uint8_t *out)
{
	ssize_t n = pread(fd, out, DB_PAGE, (off_t)(page - 1) * DB_PAGE);

	return n == DB_PAGE ? 0 : n < 0 ? -errno : -EBADMSG;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int punch(int fd, uint32_t first, uint32_t pages)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(first - 1) * DB_PAGE,
		       (off_t)pages * DB_PAGE) < 0
		       ? -errno
		       : 0;
}

/* Runs of neighbours in one call each. */
static int punch_all(int fd, uint32_t *leaves, size_t count)
{
	int r = 0;

	qsort(leaves, count, sizeof(*leaves), by_number);
	for (size_t i = 0, n; r == 0 && i < count; i += n) {
		for (n = 1; i + n < count && leaves[i + n] == leaves[i] + n; n++)
			;
		r = punch(fd, leaves[i], (uint32_t)n);
	}
	return r;
}

/* One trunk page: its leaves go, and *trunk is the next one. */
static int punch_leaves(int fd, uint32_t *trunk, int64_t file_pages, int64_t *given)
{
	uint8_t page[DB_PAGE];
	uint32_t leaves[LEAVES_MAX], count;
	struct cursor c = cursor_on(page, sizeof(page));
	int r = read_page(fd, *trunk, page);

	if (r < 0)
		return r;
	*trunk = cursor_u32(&c);
	count = cursor_u32(&c);
	if (count > LEAVES_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < count; i++) {
		leaves[i] = cursor_u32(&c);
		if (leaves[i] < 2 || leaves[i] > file_pages)
			return -EBADMSG;
	}
	*given += count;
	return punch_all(fd, leaves, count);
}

int sql_give_back(struct sql *q, int64_t pages)
{
	uint8_t first[DB_PAGE];
	struct cursor c = cursor_on(first + FIRST_TRUNK, 4);
	int64_t given = 0, trunks = 0;
	uint32_t trunk;
	int r = q->room_fd < 0 ? -EOPNOTSUPP : q->wal_frames > 0 ? -EBUSY : read_page(q->room_fd, 1, first);

	if (r < 0)
		return r;
	trunk = cursor_u32(&c);
	while (r == 0 && trunk != 0 && given < pages)
		r = trunk > q->pages || trunks++ > q->pages ? -EBADMSG
							    : punch_leaves(q->room_fd, &trunk, q->pages, &given);
	return r;
}

/* --- room before it is needed -------------------------------------------------------------------------------------- */

/* Behind the end of the file, where SQLite does not see it. */
static int take(int fd, int64_t has, int64_t pages)
{
	off_t more = (off_t)(pages * DB_PAGE - has);

	return more > 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)has, more) < 0 ? -errno : 0;
}

/* Steps, so that few commits ask; where the room is somebody else's, no more than is needed. */
static int64_t step(const struct sql *q, int64_t pages)
{
	int64_t to = q->opts.give_back ? pages : (pages / GROW_PAGES + 1) * GROW_PAGES;

	return to < q->max_pages ? to : pages > q->max_pages ? pages : q->max_pages;
}

int sql_grow(struct sql *q, int64_t pages)
{
	int64_t to = step(q, pages);
	struct stat st;
	int r;

	if (q->reserved || q->room_fd < 0 || pages <= q->roomy)
		return 0;
	if (fstat(q->room_fd, &st) < 0)
		return -errno;
	r = take(q->room_fd, st.st_size, to);
	if (r == -ENOSPC && to > pages)
		r = take(q->room_fd, st.st_size, to = pages);
	if (r == -EOPNOTSUPP)
		to = INT64_MAX; /* the bound is then the disk's */
	if (r == 0 || r == -EOPNOTSUPP)
		q->roomy = to;
	return r == -EOPNOTSUPP ? 0 : r == -EDQUOT ? -ENOSPC : r;
}
