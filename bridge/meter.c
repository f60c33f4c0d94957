/* SPDX-License-Identifier: MIT */
#include "bridge/meter.h"

#include "bridge/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE = 48 }; /* day and bytes, filled up with blanks: always as long */

static int write_line(int fd, int64_t day, int64_t bytes)
{
	char line[LINE + 1];
	ssize_t n;

	snprintf(line, sizeof(line), "%20" PRId64 " %26" PRId64, day, bytes);
	line[LINE - 1] = '\n';
	do
		n = pwrite(fd, line, LINE, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == LINE ? 0 : -ENOSPC;
}

static void read_line(int fd, int64_t *day, int64_t *bytes)
{
	char line[LINE + 1] = "";

	if (pread(fd, line, LINE, 0) != LINE || sscanf(line, "%" SCNd64 " %" SCNd64, day, bytes) != 2 || *day < 0 ||
		*bytes < 0)
		*day = *bytes = 0;
}

int meter_open(int *fd, const char *dir, const char *upstream, int64_t *day, int64_t *bytes)
{
	char path[PATH_MAX];

	if (!mapped_path(path, sizeof(path), "day", dir, upstream))
		return -ENAMETOOLONG;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (*fd < 0)
		return -errno;
	read_line(*fd, day, bytes);
	return 0;
}

int meter_keep(int fd, int64_t day, int64_t bytes)
{
	int r = write_line(fd, day, bytes);

	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	return r;
}
