/* SPDX-License-Identifier: MIT */
/* sharedoor.h - where the clients of a `share:` knock: its address, tried again until it can be had.
 *
 * Owner     main thread and its loop.
 */
#ifndef GATEWAY_SHAREDOOR_H
#define GATEWAY_SHAREDOOR_H

#include "base/loop.h"
#include "broker/address.h"

struct sharedoor_ear {
	struct loop_watch watch; /* first */
	struct sharedoor *door;
};

struct sharedoor {
	struct loop *loop;
	const char *bind, *line;                                        /* "127.0.0.1:1502"; for the log */
	void (*knocked)(struct sharedoor *d, int fd, const char *from); /* fd is the callee's; from: "192.0.2.7" */

	/* its own */
	struct sharedoor_ear ears[ADDRESS_SOCKETS];
	size_t ear_count;
	struct loop_timer retry;
};

void sharedoor_open(struct sharedoor *d); /* what is above was set */
void sharedoor_close(struct sharedoor *d);

#endif
