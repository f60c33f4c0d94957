/* SPDX-License-Identifier: MIT */
/* libserialport looks for a port in /sys/class/tty and at its modem lines; a pty has neither. A symbol of the program
 * goes before the one of libc, for the library too. */
#include "tests/drivers/ttyshim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

struct ttyshim ttyshim;

static const char class_dir[] = "/sys/class/tty/pts/";

static bool is_pty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) >= 136 && major(st.st_rdev) <= 143;
}

static void note(char event)
{
	if (ttyshim.event_count < sizeof(ttyshim.events) - 1)
		ttyshim.events[ttyshim.event_count++] = event;
}

static int answer(unsigned long request, void *arg)
{
	struct serial_struct *s = arg;

	switch (request) {
	case TIOCMGET: *(int *)arg = TIOCM_CTS | TIOCM_DSR; return 0;
	case TIOCMSET: return 0;
	case TIOCMBIS: note('R'); return 0;
	case TIOCMBIC: note('r'); return 0;
	case TIOCGSERIAL: *s = (struct serial_struct){0}; return 0;
	case TIOCSSERIAL: ttyshim.low_latency = s->flags & (int)ASYNC_LOW_LATENCY; return 0;
	case TIOCSRS485:
		if (ttyshim.no_rs485)
			break;
		memcpy(&ttyshim.mode, arg, sizeof(ttyshim.mode));
		return 0;
	default: break;
	}
	errno = ENOTTY;
	return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	long r;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	r = syscall(SYS_ioctl, fd, request, arg);
	if (r == 0 || (errno != ENOTTY && errno != EINVAL) || !is_pty(fd))
		return (int)r;
	return answer(request, arg);
}

/* The library of Debian 12 calls the older of the two. */
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st)
{
	(void)version;
	return lstat(path, st);
}

int lstat(const char *restrict path, struct stat *restrict st)
{
	if (strncmp(path, class_dir, sizeof(class_dir) - 1) != 0)
		return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
	*st = (struct stat){.st_mode = S_IFLNK | 0777};
	return 0;
}

ssize_t readlink(const char *restrict path, char *restrict buf, size_t cap)
{
	if (strncmp(path, class_dir, sizeof(class_dir) - 1) != 0)
		return readlinkat(AT_FDCWD, path, buf, cap);
	return snprintf(buf, cap, "../../devices/platform/shim/tty/pts");
}
