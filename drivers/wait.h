/* SPDX-License-Identifier: MIT */
/* wait.h - how a line waits: in a thread of its own, or on a fibre that lends its thread to other lines meanwhile.
 *
 * All that a line does is written once, as if it had a thread to itself; this is the only place where it lets time
 * pass. What runs on a fibre (drivers/engine.h) may be resumed on any of its waits, in one order with all other lines
 * of that thread.
 *
 * Owner     line thread.
 */
#ifndef DRIVERS_WAIT_H
#define DRIVERS_WAIT_H

#include "base/clock.h"

struct resolver;

struct waiter {
	/* Until fd has one of events (POLLIN, POLLOUT; an error always counts), until until_us, or until the line is to
	 * stop. fd -1: for the time alone. What is ready (> 0), 0: the time is up, -ECANCELED: to stop, or -errno. With
	 * the time up from the start fd may go unlooked at. */
	int (*wait)(struct waiter *w, int fd, short events, int64_t until_us);
	/* fd, which was waited for, is about to be closed. */
	void (*leave)(struct waiter *w, int fd);
	struct resolver *resolver; /* who looks names up; NULL: the line's thread may do so itself */
};

/* In a thread of its own: stop_fd becomes readable when the line is to stop. */
struct waiter_alone {
	struct waiter waiter;
	int stop_fd;
	const struct clock *clock;
};
void waiter_alone_init(struct waiter_alone *w, int stop_fd, const struct clock *clock);

#endif
