/* SPDX-License-Identifier: MIT */
#include "bridge/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 50 };

bool mapped_path(char *out, size_t cap, const char *name, const char *dir, const char *upstream)
{
	int n = snprintf(out, cap, "%s/%s-%s", dir, name, upstream);

	if (n < 0 || (size_t)n >= cap)
		return false;
	for (char *at = out + strlen(dir) + 1; *at; at++) /* the name of an upstream is no path */
		if (*at == '/')
			*at = '_';
	return true;
}

static void read_boot(char out[MAPPED_BOOT])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, out, MAPPED_BOOT - 1);

	out[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

/* The process of a gateway that was killed may be a moment behind it. */
static int lock(int fd)
{
	struct timespec pause = {.tv_nsec = 20000000};

	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

static int map(struct mapped *m, const char *path)
{
	void *at;
	int r;

	m->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (m->fd < 0)
		return -errno;
	r = lock(m->fd);
	if (r < 0)
		return r;
	r = posix_fallocate(m->fd, 0, (off_t)m->size);
	if (r != 0)
		return -r;
	at = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	m->at = at;
	return 0;
}

/* What the disk has says from now on that it is not to be believed, until it was closed. */
static int take_over(struct mapped *m, const struct mapped_kind *kind)
{
	struct mapped_head *h = m->at;
	char boot[MAPPED_BOOT] = {0};

	read_boot(boot);
	m->believed = memcmp(h->magic, kind->magic, sizeof(h->magic)) == 0 && h->version == kind->version &&
		      (h->clean || (boot[0] && strncmp(h->boot, boot, MAPPED_BOOT) == 0));
	if (!m->believed)
		memset(h, 0, m->size);
	memcpy(h->magic, kind->magic, sizeof(h->magic));
	h->version = kind->version;
	h->clean = 0;
	memcpy(h->boot, boot, MAPPED_BOOT);
	return msync(h, m->size, MS_SYNC) < 0 ? -errno : 0;
}

static void let_go(struct mapped *m)
{
	if (m->at)
		munmap(m->at, m->size);
	if (m->fd >= 0)
		close(m->fd);
	m->at = NULL;
	m->fd = -1;
}

int mapped_open(struct mapped *m, const struct mapped_kind *kind, const char *dir, const char *upstream)
{
	char path[PATH_MAX];
	int r;

	*m = (struct mapped){.size = kind->size, .fd = -1};
	if (!mapped_path(path, sizeof(path), kind->name, dir, upstream))
		return -ENAMETOOLONG;
	r = map(m, path);
	if (r == 0)
		r = take_over(m, kind);
	if (r < 0)
		let_go(m);
	return r;
}

void mapped_close(struct mapped *m)
{
	if (!m->at)
		return;
	/* The mark goes to the disk only after what it vouches for. Failing that, the file is not believed later. */
	if (msync(m->at, m->size, MS_SYNC) == 0) {
		m->at->clean = 1;
		(void)msync(m->at, m->size, MS_SYNC);
	}
	let_go(m);
}

int mapped_remove(const char *name, const char *dir, const char *upstream)
{
	char path[PATH_MAX];

	if (mapped_path(path, sizeof(path), name, dir, upstream) && unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}
