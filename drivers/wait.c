/* SPDX-License-Identifier: MIT */
#include "drivers/wait.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

static int wait_alone(struct waiter *waiter, int fd, short events, int64_t until_us)
{
	struct waiter_alone *w = (struct waiter_alone *)waiter;
	struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = w->stop_fd, .events = POLLIN}};

	for (;;) {
		int64_t left_us = until_us - clock_mono_us(w->clock);
		struct timespec left = {0};
		int r;

		if (left_us > 0)
			left = (struct timespec){left_us / 1000000, left_us % 1000000 * 1000};
		r = ppoll(p, 2, &left, NULL);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r >= 0)
			return p[1].revents ? -ECANCELED : p[0].revents;
	}
}

static void leave_alone(struct waiter *w, int fd)
{
	(void)w;
	(void)fd;
}

void waiter_alone_init(struct waiter_alone *w, int stop_fd, const struct clock *clock)
{
	*w = (struct waiter_alone){.waiter = {wait_alone, leave_alone, NULL}, .stop_fd = stop_fd, .clock = clock};
}
