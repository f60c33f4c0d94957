/* SPDX-License-Identifier: MIT */
/* Both ways the log is copied block by block and not as a file: the copy has no free pages, a writer is not held up, and
 * what is restored has been read to the last record. */
#include "store/store.h"

#include "store/relog.h"
#include "store/salvage.h"
#include "store/seqlimit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* from -> to, which is new, and complete in its one file afterwards. The counter of the copy is at least `next`. */
static int copy(const char *from, const char *to, bool in_use, struct seqlimit limit, struct store_copy *out)
{
	struct relog_opts o = {.from_path = from,
		.topic = "weir/event",
		.seq_limit = limit.limit,
		.in_use = in_use,
		.wall_ms = clock_wall_ms(&clock_system)};
	struct relog_result done = {0};
	uint64_t next = 0;
	int r = db_open_reader(&o.from, from);

	if (r == 0)
		r = db_open(&o.to, to, &db_any_size);
	if (r == 0)
		r = relog(&o, &done);
	if (r == 0)
		r = db_mark_get(o.to, "next", &next);
	if (r == 0 && !in_use && next < limit.limit) {
		next = limit.limit;
		r = db_begin(o.to);
		if (r == 0)
			r = db_end(o.to, db_mark_set(o.to, "next", next));
	}
	if (r == 0)
		r = db_empty_wal(o.to);
	db_close(o.to);
	db_close(o.from);
	db_drop_index(to);
	if (!in_use)
		db_drop_index(from); /* made by looking at it */
	*out = (struct store_copy){done.records, done.last, next, done.lost};
	return r;
}

int store_backup(const char *dir, const char *to, struct store_copy *out)
{
	struct seqlimit limit;
	char from[PATH_MAX];
	int r = db_path(from, dir, "queue.db");

	if (r == 0 && access(to, F_OK) == 0)
		r = -EEXIST;
	if (r == 0)
		r = seqlimit_read(dir, "queue", &limit);
	return r == 0 ? copy(from, to, true, limit, out) : r;
}

/* The same renames as after a salvage: what was there is kept under another name. */
static int put_in_place(const char *dir, uint64_t next)
{
	struct seqlimit limit = {next + SEQLIMIT_STEP, false};
	char fresh[PATH_MAX], ready[PATH_MAX] = "";
	int r = db_path(fresh, dir, "queue.new");

	if (r == 0)
		r = db_path(ready, dir, "queue.ready");
	if (r == 0)
		r = seqlimit_write(dir, "queue", &limit);
	if (r == 0 && rename(fresh, ready) < 0)
		r = -errno;
	return r == 0 ? salvage_resume(dir, clock_wall_ms(&clock_system)) : r;
}

int store_restore(const char *dir, const char *from, struct store_copy *out)
{
	struct seqlimit limit;
	char fresh[PATH_MAX];
	int dir_fd = -1, r = db_path(fresh, dir, "queue.new");

	if (r == 0 && mkdir(dir, 0750) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && (dir_fd < 0 || flock(dir_fd, LOCK_EX | LOCK_NB) < 0))
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (r == 0)
		r = salvage_resume(dir, clock_wall_ms(&clock_system));
	if (r == 0)
		r = seqlimit_read(dir, "queue", &limit);
	if (r == 0)
		r = copy(from, fresh, false, limit, out);
	if (r == 0)
		r = put_in_place(dir, out->next_seq);
	if (dir_fd >= 0)
		close(dir_fd);
	return r;
}
