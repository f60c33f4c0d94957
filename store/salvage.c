/* SPDX-License-Identifier: MIT */
#include "store/salvage.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- files -------------------------------------------------------------------------------------------------------------- */

static int rename_in(int dir_fd, const char *from, const char *to)
{
	if (renameat(dir_fd, from, dir_fd, to) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* Files of queue.db get a name with the time. */
static int set_aside(int dir_fd, const char *const *ends, size_t count, int64_t wall_ms)
{
	char from[64], to[64], when[32];
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;
	bool had = faccessat(dir_fd, "queue.db", F_OK, 0) == 0;
	int r = 0;

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	for (size_t i = 0; r == 0 && i < count; i++) {
		snprintf(from, sizeof(from), "queue.db%s", ends[i]);
		snprintf(to, sizeof(to), "queue-%s.db%s", when, ends[i]);
		r = rename_in(dir_fd, from, to);
	}
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (had)
		log_warn("store file=queue.db%s kept_as=queue-%s.db%s error=%d", ends[count - 1], when, ends[count - 1],
			-r);
	return r;
}

/* The WAL first: a new database beside the old one's WAL would be filled with it. */
static int swap(int dir_fd, int64_t wall_ms)
{
	static const char *const ends[] = {"-wal", "-shm", ""};
	int r = fsync(dir_fd) < 0 ? -errno : 0; /* queue.ready is there for good */

	if (r == 0)
		r = set_aside(dir_fd, ends, 3, wall_ms);
	if (r == 0)
		r = rename_in(dir_fd, "queue.ready", "queue.db");
	return r == 0 && fsync(dir_fd) < 0 ? -errno : r;
}

static int discard(int dir_fd)
{
	static const char *const names[] = {"queue.new", "queue.new-wal", "queue.new-shm"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (unlinkat(dir_fd, names[i], 0) < 0 && errno != ENOENT)
			return -errno;
	return 0;
}

static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int salvage_resume(const char *dir, int64_t wall_ms)
{
	int fd = open_dir(dir), r;

	if (fd < 0)
		return fd;
	r = discard(fd);
	if (r == 0 && faccessat(fd, "queue.ready", F_OK, 0) == 0)
		r = swap(fd, wall_ms);
	close(fd);
	return r;
}

int salvage_stale_wal(const char *dir, int64_t wall_ms)
{
	static const char *const ends[] = {"-shm", "-wal"};
	int fd = open_dir(dir), r = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstatat(fd, "queue.db-wal", &st, 0) == 0 && st.st_size > 0)
		r = set_aside(fd, ends, 2, wall_ms);
	close(fd);
	return r;
}

/* --- the first page --------------------------------------------------------------------------------------------------- */

static int read_page(const char *path, uint8_t page[DB_PAGE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, page, DB_PAGE, 0);
	int r = n == DB_PAGE ? 0 : n < 0 ? -errno : -EIO;

	if (fd >= 0)
		close(fd);
	return r;
}

static int write_page(const char *path, int flags, const uint8_t page[DB_PAGE])
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0640);
	ssize_t n = fd < 0 ? -1 : pwrite(fd, page, DB_PAGE, 0);
	int r = n == DB_PAGE && fsync(fd) == 0 ? 0 : n < 0 || n == DB_PAGE ? -errno : -EIO;

	if (fd >= 0)
		close(fd);
	return r;
}

/* The first page is the same in each of our databases but for the counters: without it nothing could be read, so a new
 * one's takes its place, with no free list and the size left open. The old page is kept beside. */
static int graft(const struct salvage_opts *o, const char *old_path, const char *new_path)
{
	enum { SIZE = 28, FREE_LIST = 32, FREE_COUNT = 36, VALID_FOR = 92 };
	static const int zeroed[] = {SIZE, FREE_LIST, FREE_COUNT, VALID_FOR};
	uint8_t page[DB_PAGE];
	char kept[PATH_MAX];
	int r = read_page(old_path, page);

	if (r == 0 &&
		snprintf(kept, sizeof(kept), "%s/queue-%lld.page1", o->dir, (long long)o->wall_ms) >= (int)sizeof(kept))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = write_page(kept, O_CREAT | O_EXCL, page);
	if (r == 0)
		r = read_page(new_path, page);
	for (size_t i = 0; i < sizeof(zeroed) / sizeof(zeroed[0]); i++)
		memset(page + zeroed[i], 0, 4);
	if (r == 0)
		r = write_page(old_path, 0, page);
	log_warn("store first_page=replaced kept_as=%s error=%d", kept, -r);
	return r;
}

/* NULL: nothing can be read. */
static struct db *open_old(const struct salvage_opts *o, const char *old_path, const char *new_path)
{
	struct db *old;
	int r = db_open_damaged(&old, old_path);

	if (r == -EBADMSG && graft(o, old_path, new_path) == 0) {
		db_close(old);
		r = db_open_damaged(&old, old_path);
	}
	if (r == 0)
		return old;
	log_error("store file=%s unreadable=\"%s\"; nothing of it is salvaged", old_path, db_text(old));
	db_close(old);
	return NULL;
}

static int fill(const struct salvage_opts *o, const char *old_path, const char *new_path, struct relog_result *out)
{
	struct relog_opts copy = {.from_path = old_path,
		.topic = o->topic,
		.seq_limit = o->seq_limit,
		.wall_ms = o->wall_ms,
		.salvage = true};
	int r = db_open(&copy.to, new_path, &o->db);

	if (r == 0) {
		copy.from = open_old(o, old_path, new_path);
		r = relog(&copy, out);
	}
	db_close(copy.from);
	db_close(copy.to);
	return r;
}

int salvage(const struct salvage_opts *opts, struct relog_result *out)
{
	char old_path[PATH_MAX], new_path[PATH_MAX];
	int dir_fd = open_dir(opts->dir), r = dir_fd < 0 ? dir_fd : discard(dir_fd);

	*out = (struct relog_result){0};
	if (snprintf(old_path, sizeof(old_path), "%s/queue.db", opts->dir) >= (int)sizeof(old_path) ||
		snprintf(new_path, sizeof(new_path), "%s/queue.new", opts->dir) >= (int)sizeof(new_path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = fill(opts, old_path, new_path, out);
	if (r == 0)
		r = rename_in(dir_fd, "queue.new", "queue.ready");
	if (r == 0)
		r = discard(dir_fd); /* its WAL, which is empty */
	if (r == 0)
		r = swap(dir_fd, opts->wall_ms);
	if (dir_fd >= 0)
		close(dir_fd);
	log_info("store salvaged=%llu lost=%llu%s", (unsigned long long)out->records, (unsigned long long)out->lost,
		out->unknown ? " and perhaps more" : "");
	return r;
}
