/* SPDX-License-Identifier: MIT */
#include "tests/sim/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { LOOK_US = 5000 };

bool pty_in_use(const struct pty *p)
{
	struct pollfd fd = {.fd = p->fd, .events = POLLIN};

	return p->fd >= 0 && poll(&fd, 1, 0) >= 0 && !(fd.revents & POLLHUP);
}

static void look(struct pace_timer *t)
{
	struct pty *p = (struct pty *)((char *)t - offsetof(struct pty, look));

	if (!pty_in_use(p) || pace_watch(p->pace, &p->watch, p->fd, EPOLLIN) < 0)
		pace_arm(p->pace, t, pace_now_us() + LOOK_US);
}

static void ready(struct pace_watch *w, uint32_t events)
{
	struct pty *p = (struct pty *)((char *)w - offsetof(struct pty, watch));
	int64_t now_us = pace_now_us();
	uint8_t bytes[1024];
	ssize_t n = events & EPOLLIN ? read(p->fd, bytes, sizeof(bytes)) : -1;

	if (n > 0) {
		p->input(p, bytes, (size_t)n, now_us);
	} else if (events & EPOLLHUP) {
		pace_unwatch(p->pace, w);
		pace_arm(p->pace, &p->look, now_us + LOOK_US);
	}
}

/* The name appears at once and whole: a link made aside and moved into place. */
static int name_it(const char *target, const char *path)
{
	char aside[4096];

	if ((size_t)snprintf(aside, sizeof(aside), "%s.new", path) >= sizeof(aside))
		return -ENAMETOOLONG;
	unlink(aside);
	if (symlink(target, aside) < 0 || rename(aside, path) < 0)
		return -errno;
	return 0;
}

static int unlocked_slave(int master, char *name, size_t len)
{
	if (grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, len) != 0)
		return -1;
	return open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

int pty_back(struct pty *p)
{
	struct termios raw;
	char target[128];
	int slave, r;

	if (p->fd >= 0)
		return 0;
	p->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	slave = p->fd >= 0 ? unlocked_slave(p->fd, target, sizeof(target)) : -1;
	if (slave < 0) {
		r = -errno;
		close(p->fd);
		p->fd = -1;
		return r;
	}
	/* Raw from the start: what is sent before the other side sets its modes must not come back as an echo. */
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	close(slave);
	r = name_it(target, p->path);
	if (r < 0) {
		close(p->fd);
		p->fd = -1;
		return r;
	}
	pace_arm(p->pace, &p->look, 0);
	return 0;
}

void pty_vanish(struct pty *p)
{
	if (p->fd < 0)
		return;
	unlink(p->path);
	pace_disarm(p->pace, &p->look);
	pace_unwatch(p->pace, &p->watch);
	close(p->fd);
	p->fd = -1;
}

int pty_open(struct pty *p, struct pace *pace, const char *path)
{
	p->pace = pace;
	p->fd = p->watch.fd = -1;
	p->watch.run = ready;
	p->look.run = look;
	p->path = strdup(path);
	return p->path ? pty_back(p) : -ENOMEM;
}

void pty_close(struct pty *p)
{
	if (!p->path)
		return;
	pty_vanish(p);
	free(p->path);
	p->path = NULL;
}

void pty_write(struct pty *p, const uint8_t *bytes, size_t len)
{
	if (pty_in_use(p) && write(p->fd, bytes, len) < 0 && errno != EAGAIN && errno != EIO)
		perror("weir-sim: write to a pty");
}
