/* SPDX-License-Identifier: MIT */
#include "bridge/quarantine.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct quarantine {
	char path[PATH_MAX], old[PATH_MAX];
	char *upstream;
	int64_t max_bytes, bytes;
	int fd;
};

bool quarantine_path(char *out, size_t cap, const char *dir, const char *upstream, bool old)
{
	int n = snprintf(out, cap, "%s/quarantine-%s.jsonl%s", dir, upstream, old ? ".1" : "");
	char *name = out + strlen(dir) + 1;

	if (n < 0 || (size_t)n >= cap)
		return false;
	for (; *name; name++) /* the name of an upstream is no path */
		if (*name == '/')
			*name = '_';
	return true;
}

int quarantine_sync_dir(const char *path)
{
	char dir[PATH_MAX];
	int fd, r = 0;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int open_file(struct quarantine *q)
{
	struct stat st;
	char last = '\n';

	q->fd = open(q->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (q->fd < 0 || fstat(q->fd, &st) < 0)
		return -errno;
	q->bytes = st.st_size;
	if (st.st_size == 0)
		return quarantine_sync_dir(q->path);
	/* A line that was being written when the power went must not swallow the next. */
	if (pread(q->fd, &last, 1, st.st_size - 1) == 1 && last == '\n')
		return 0;
	q->bytes++;
	return write_all(q->fd, "\n", 1);
}

/* Opened when the first record comes: most upstreams never need it. */
int quarantine_open(struct quarantine **out, const char *dir, const char *upstream, int64_t max_bytes)
{
	struct quarantine *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->fd = -1;
	q->max_bytes = max_bytes;
	q->upstream = strdup(upstream);
	if (!q->upstream || !quarantine_path(q->path, sizeof(q->path), dir, upstream, false) ||
		!quarantine_path(q->old, sizeof(q->old), dir, upstream, true)) {
		int r = q->upstream ? -ENAMETOOLONG : -ENOMEM;

		quarantine_close(q);
		return r;
	}
	*out = q;
	return 0;
}

void quarantine_close(struct quarantine *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	free(q->upstream);
	free(q);
}

static int make_room(struct quarantine *q, size_t len)
{
	if (q->bytes == 0 || q->bytes + (int64_t)len <= q->max_bytes / 2)
		return 0;
	if (access(q->old, F_OK) == 0)
		log_warn("upstream=%s quarantine=%s is full; the older half, %s, is dropped", q->upstream, q->path,
			q->old);
	if (rename(q->path, q->old) < 0)
		return -errno;
	close(q->fd);
	return open_file(q);
}

/* A line that is there in part, on a full disk, is taken back: the record is tried again as a whole. */
static int append(struct quarantine *q, const char *line, size_t len)
{
	int r = write_all(q->fd, line, len);

	if (r == 0 && fdatasync(q->fd) < 0)
		r = -errno;
	if (r == 0) {
		q->bytes += (int64_t)len;
		return 0;
	}
	if (ftruncate(q->fd, q->bytes) < 0) {
		close(q->fd); /* opened anew, it is measured anew */
		q->fd = -1;
	}
	return r;
}

/* Whoever drops the file has it locked while he does, so under the lock it is either still there or gone for good. */
static int take(struct quarantine *q)
{
	for (;;) {
		struct stat st;
		int r = q->fd < 0 ? open_file(q) : 0;

		if (r < 0)
			return r;
		if (flock(q->fd, LOCK_EX) < 0 || fstat(q->fd, &st) < 0)
			return -errno;
		if (st.st_nlink > 0)
			return 0;
		close(q->fd);
		q->fd = -1;
	}
}

int quarantine_keep(struct quarantine *q, const struct aside *a)
{
	char *line;
	size_t len;
	int r = aside_write(&line, &len, a);

	if (r == 0)
		r = take(q);
	if (r == 0)
		r = make_room(q, len);
	if (r == 0)
		r = take(q); /* it may be another file now */
	if (r == 0)
		r = append(q, line, len);
	if (q->fd >= 0)
		flock(q->fd, LOCK_UN);
	free(line);
	return r;
}

static long print_lines(FILE *f, FILE *out)
{
	long lines = 0;
	int c;

	while (f && (c = getc(f)) != EOF) {
		if (out && putc(c, out) == EOF)
			return -EIO;
		lines += c == '\n';
	}
	return (f && ferror(f)) || (out && fflush(out) != 0) ? -EIO : lines;
}

int quarantine_lock(const char *path, int flags, bool wait)
{
	for (;;) {
		struct stat there, ours;
		int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0640), r;

		if (fd < 0)
			return -errno;
		r = flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0 || fstat(fd, &ours) < 0 ? -errno : 0;
		if (r == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino)
			return fd;
		close(fd); /* another has taken its place meanwhile */
		if (r < 0)
			return r;
	}
}

/* 0 with NULL: there is none. */
static int open_locked(FILE **out, const char *path)
{
	int fd = quarantine_lock(path, O_RDONLY, true);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	*out = fdopen(fd, "r");
	if (!*out)
		close(fd);
	return *out ? 0 : -ENOMEM;
}

static int drop_file(const char *path)
{
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

long quarantine_print(const char *dir, const char *upstream, FILE *out, bool drop)
{
	char path[PATH_MAX], old_path[PATH_MAX];
	FILE *now = NULL, *old = NULL;
	long lines = -ENAMETOOLONG, more = 0;

	if (quarantine_path(path, sizeof(path), dir, upstream, false) &&
		quarantine_path(old_path, sizeof(old_path), dir, upstream, true))
		lines = open_locked(&now, path);
	if (lines == 0) {
		old = fopen(old_path, "re");
		lines = old || errno == ENOENT ? print_lines(old, out) : -errno;
	}
	if (lines >= 0)
		more = print_lines(now, out);
	lines = lines < 0 ? lines : more < 0 ? more : lines + more;
	if (lines >= 0 && drop && (drop_file(old_path) < 0 || drop_file(path) < 0 || quarantine_sync_dir(path) < 0))
		lines = -errno;
	if (old)
		fclose(old);
	if (now)
		fclose(now);
	return lines;
}
