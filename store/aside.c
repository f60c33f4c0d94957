/* SPDX-License-Identifier: MIT */
#include "store/aside.h"

#include "base/log.h"
#include "store/dbfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_LEN = 96, TRIES = 1000 };

static const char *const whole[] = {".db-wal", ".db-shm", ".db"};
static const char *const half[] = {".new", ".new-wal", ".new-shm"};
static const char *const index_and_wal[] = {".db-shm", ".db-wal"};

static void name_of(char out[NAME_LEN], const struct aside *a, const char *end)
{
	snprintf(out, NAME_LEN, "%s%s", a->stem, end);
}

static bool is_there(int dir_fd, const char *name)
{
	return faccessat(dir_fd, name, F_OK, 0) == 0;
}

static int rename_in(int dir_fd, const char *from, const char *to)
{
	if (renameat(dir_fd, from, dir_fd, to) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static bool is_taken(int dir_fd, const char *stem)
{
	char name[NAME_LEN + 8];

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", stem, whole[i]);
		if (is_there(dir_fd, name))
			return true;
	}
	return false;
}

/* "broker-20261121T080000Z", or with a number behind it, when something of that second is there already. */
static void kept_stem(char out[NAME_LEN], int dir_fd, const struct aside *a)
{
	char when[32];
	time_t t = (time_t)(a->wall_ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(out, NAME_LEN, "%s-%s", a->stem, when);
	for (int i = 2; i < TRIES && is_taken(dir_fd, out); i++)
		snprintf(out, NAME_LEN, "%s-%s-%d", a->stem, when, i);
}

static int set_aside(int dir_fd, const struct aside *a, const char *const *ends, size_t count)
{
	char from[NAME_LEN], to[NAME_LEN + 8], kept[NAME_LEN];
	bool had;
	int r = 0;

	name_of(from, a, ".db");
	had = is_there(dir_fd, from);
	kept_stem(kept, dir_fd, a);
	for (size_t i = 0; r == 0 && i < count; i++) {
		name_of(from, a, ends[i]);
		snprintf(to, sizeof(to), "%s%s", kept, ends[i]);
		r = rename_in(dir_fd, from, to);
	}
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (had)
		log_warn("store file=%s kept_as=%s error=%d", from, to, -r);
	return r;
}

/* The WAL first: a new database beside the old one's WAL would be filled with it. */
static int swap(int dir_fd, const struct aside *a)
{
	char ready[NAME_LEN], db[NAME_LEN];
	int r = fsync(dir_fd) < 0 ? -errno : 0; /* STEM.ready is there for good */

	name_of(ready, a, ".ready");
	name_of(db, a, ".db");
	if (r == 0)
		r = set_aside(dir_fd, a, whole, 3);
	if (r == 0)
		r = rename_in(dir_fd, ready, db);
	return r == 0 && fsync(dir_fd) < 0 ? -errno : r;
}

static int discard(int dir_fd, const struct aside *a)
{
	char name[NAME_LEN];

	for (size_t i = 0; i < sizeof(half) / sizeof(half[0]); i++) {
		name_of(name, a, half[i]);
		if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int aside_resume(const struct aside *a)
{
	char ready[NAME_LEN];
	int fd = open_dir(a->dir), r;

	if (fd < 0)
		return fd;
	name_of(ready, a, ".ready");
	r = discard(fd, a);
	if (r == 0 && is_there(fd, ready))
		r = swap(fd, a);
	close(fd);
	return r;
}

int aside_stale_wal(const struct aside *a)
{
	char wal[NAME_LEN];
	int fd = open_dir(a->dir), r = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	name_of(wal, a, ".db-wal");
	if (fstatat(fd, wal, &st, 0) == 0 && st.st_size > 0)
		r = set_aside(fd, a, index_and_wal, 2);
	close(fd);
	return r;
}

int aside_replace(const struct aside *a, int (*fill)(void *ctx, const char *old_path, const char *new_path), void *ctx)
{
	char old_path[PATH_MAX], new_path[PATH_MAX], fresh[NAME_LEN], ready[NAME_LEN];
	int dir_fd = open_dir(a->dir), r = dir_fd < 0 ? dir_fd : discard(dir_fd, a);

	name_of(fresh, a, ".new");
	name_of(ready, a, ".ready");
	if (snprintf(old_path, sizeof(old_path), "%s/%s.db", a->dir, a->stem) >= (int)sizeof(old_path) ||
		snprintf(new_path, sizeof(new_path), "%s/%s", a->dir, fresh) >= (int)sizeof(new_path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = fill(ctx, old_path, new_path);
	if (r == 0)
		r = rename_in(dir_fd, fresh, ready);
	if (r == 0)
		r = discard(dir_fd, a); /* its WAL, which is empty */
	if (r == 0)
		r = swap(dir_fd, a);
	if (dir_fd >= 0)
		close(dir_fd);
	return r;
}

/* --- the first page ----------------------------------------------------------------------------------------------- */

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

int aside_graft(const struct aside *a, const char *old_path, const char *new_path)
{
	enum { SIZE = 28, FREE_LIST = 32, FREE_COUNT = 36, VALID_FOR = 92 };
	static const int zeroed[] = {SIZE, FREE_LIST, FREE_COUNT, VALID_FOR};
	uint8_t page[DB_PAGE];
	char kept[PATH_MAX] = "";
	int r = read_page(old_path, page);

	if (r == 0 && snprintf(kept, sizeof(kept), "%s/%s-%lld.page1", a->dir, a->stem, (long long)a->wall_ms) >=
			      (int)sizeof(kept))
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
