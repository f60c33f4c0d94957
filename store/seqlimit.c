/* SPDX-License-Identifier: MIT */
#include "store/seqlimit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Twenty digits, a word and a newline: far below a sector, which is written whole or not at all. */
enum { DIGITS = 20, WIDTH = DIGITS + 7 };

static int path_of(char *out, size_t cap, const char *dir, const char *stem)
{
	int n = snprintf(out, cap, "%s/%s.seq", dir, stem);

	return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

int seqlimit_read(const char *dir, const char *stem, struct seqlimit *out)
{
	char path[PATH_MAX], text[WIDTH + 1] = "";
	int fd, r = path_of(path, sizeof(path), dir, stem);
	ssize_t n;

	*out = (struct seqlimit){0};
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, text, WIDTH);
	r = n < 0 ? -errno : 0;
	close(fd);
	if (n == WIDTH && strspn(text, "0123456789") == DIGITS) {
		out->limit = strtoull(text, NULL, 10);
		out->clean = strcmp(text + DIGITS, " clean\n") == 0;
	}
	return r;
}

int seqlimit_check(const char *dir, const char *stem)
{
	char path[PATH_MAX];
	int r = path_of(path, sizeof(path), dir, stem);

	if (r == 0 && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

int seqlimit_write(const char *dir, const char *stem, const struct seqlimit *s)
{
	char path[PATH_MAX], text[WIDTH + 1];
	int fd, r = path_of(path, sizeof(path), dir, stem);
	ssize_t n;

	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	snprintf(text, sizeof(text), "%020" PRIu64 " %s\n", s->limit, s->clean ? "clean" : "open ");
	n = pwrite(fd, text, WIDTH, 0);
	if (n != WIDTH)
		r = n < 0 ? -errno : -EIO;
	else if (fdatasync(fd) < 0)
		r = -errno;
	close(fd);
	return r < 0 ? r : sync_dir(dir);
}

int seqlimit_forget(const char *dir, const char *stem)
{
	char path[PATH_MAX];
	int r = path_of(path, sizeof(path), dir, stem);

	if (r == 0 && unlink(path) < 0)
		return errno == ENOENT ? 0 : -errno;
	return r < 0 ? r : sync_dir(dir);
}
