/* SPDX-License-Identifier: MIT */
#include "gateway/handover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int give(int dir_fd, const char *name, const struct stat *owner)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != 0)
		return 0;
	return fchownat(dir_fd, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int handover(const char *dir)
{
	DIR *d = geteuid() == 0 ? opendir(dir) : NULL;
	struct dirent *e;
	struct stat owner;
	int r = 0;

	if (!d)
		return geteuid() == 0 ? -errno : 0;
	if (fstat(dirfd(d), &owner) < 0)
		r = -errno;
	while (r == 0 && owner.st_uid != 0 && (e = readdir(d)))
		r = give(dirfd(d), e->d_name, &owner);
	closedir(d);
	return r;
}
