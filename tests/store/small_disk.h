/* SPDX-License-Identifier: MIT */
/* small_disk.h - a file system of its own, of a few megabytes, that really is full. Needs a mount namespace: root's, or an
 * unprivileged user's; where there is none, the tests say so and are skipped.
 */
#ifndef TESTS_STORE_SMALL_DISK_H
#define TESTS_STORE_SMALL_DISK_H

#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char mount_point[] = "/tmp/weir-full-XXXXXX";

static inline bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static inline bool enter_namespace(void)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	if (uid != 0) {
		snprintf(map, sizeof(map), "0 %u 1", uid);
		if (!write_text("/proc/self/uid_map", map) || !write_text("/proc/self/setgroups", "deny"))
			return false;
		snprintf(map, sizeof(map), "0 %u 1", gid);
		if (!write_text("/proc/self/gid_map", map))
			return false;
	}
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static inline void mount_small(const char *options)
{
	assert_int_equal(mount("tmpfs", mount_point, "tmpfs", 0, options), 0);
}

static inline void unmount(void)
{
	assert_int_equal(umount(mount_point), 0);
}

/* Takes all that is left but `but` bytes, as another program would. */
static inline void hog(off_t but)
{
	char path[64];
	static const char block[4096];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/hog", mount_point);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	lseek(fd, 0, SEEK_END);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size > but ? st.st_size - but : 0), 0);
	close(fd);
}

static inline void release(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/hog", mount_point);
	unlink(path);
}

static inline int64_t free_bytes(void)
{
	struct statvfs fs;

	assert_int_equal(statvfs(mount_point, &fs), 0);
	return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

static inline void resize(const char *options)
{
	assert_int_equal(mount(NULL, mount_point, NULL, MS_REMOUNT, options), 0);
}

/* What main() returns. */
#define small_disk_run(tests) (small_disk_begin() ? small_disk_end(cmocka_run_group_tests(tests, NULL, NULL)) : 77)

static inline bool small_disk_begin(void)
{
	bool there = mkdtemp(mount_point) && enter_namespace();

	if (!there) {
		printf("skipped: no mount namespace for this user (%s)\n", strerror(errno));
		rmdir(mount_point);
	}
	return there;
}

static inline int small_disk_end(int failed)
{
	rmdir(mount_point);
	return failed;
}

#endif
