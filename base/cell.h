/* SPDX-License-Identifier: MIT */
/* cell.h - the newest message of something: one thread puts, any thread looks.
 *
 * Memory    holds one reference, or none.
 * Never waits for anything but a pointer swap.
 */
#ifndef BASE_CELL_H
#define BASE_CELL_H

#include "base/msg.h"

#include <pthread.h>

struct cell {
	pthread_mutex_t lock;
	struct msg *newest;
};

void cell_init(struct cell *c);
void cell_fini(struct cell *c);
void cell_put(struct cell *c, struct msg *m); /* takes its own reference */
struct msg *cell_look(struct cell *c);        /* a reference for the caller; NULL: nothing yet */

#endif
