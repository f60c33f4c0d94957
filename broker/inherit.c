/* SPDX-License-Identifier: MIT */
#include "broker/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 128 };

/* How many were passed to this process, and not to one that it was forked from. */
static int passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	long n = pid && count && strtol(pid, NULL, 10) == (long)getpid() ? strtol(count, NULL, 10) : 0;

	return n > 0 && n <= MOST ? (int)n : 0;
}

/* Does the i-th of the names, `one:two:three`, read like this? */
static int is_named(const char *names, int i, const char *name)
{
	size_t len = strlen(name);

	for (; names && i > 0; i--) {
		names = strchr(names, ':');
		names = names ? names + 1 : NULL;
	}
	return names && strncmp(names, name, len) == 0 && (names[len] == ':' || names[len] == '\0');
}

static int take(int fd)
{
	int on = 0, own;
	socklen_t len = sizeof(on);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) < 0)
		return -errno;
	if (!on)
		return -EINVAL;
	own = fcntl(fd, F_DUPFD_CLOEXEC, FIRST);
	if (own >= 0 && fcntl(own, F_SETFL, O_NONBLOCK) < 0) {
		close(own);
		own = -1;
	}
	return own >= 0 ? own : -errno;
}

int inherit_socket(const char *name)
{
	const char *names = getenv("LISTEN_FDNAMES");
	int count = passed();
	char *end;
	long number = strtol(name, &end, 10);

	for (int i = 0; i < count; i++)
		if (is_named(names, i, name) || (end != name && *end == '\0' && number == i))
			return take(FIRST + i);
	return -ENOENT;
}
