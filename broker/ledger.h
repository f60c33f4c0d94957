/* SPDX-License-Identifier: MIT */
/* ledger.h - what the broker's own state needs to outlive the process: sessions, subscriptions, queues, retained.
 *
 * A ledger holds entries: bytes that only the broker understands, each with a number. Whoever keeps it (store/ledger.c,
 * or nobody: a broker without durable sessions has ops == NULL) says what is still in it at the start, and takes what is
 * put and dropped from then on.
 *
 * Owner     the broker's thread calls all of these; none waits for the disk.
 * Order     numbers ascend, and are never given out twice, over restarts too.
 * Atomic    everything between two turn_over() calls is in one commit: after a crash all of it is there or none.
 *           So a packet's effects are put and dropped in one turn of the loop.
 * Elided    what is put and dropped before it was handed to the writer costs nothing on disk.
 * Promises  what depends on an entry (PUBACK, PUBREC, PUBCOMP, SUBACK) leaves once committed() has reached the
 *           ticket() that was asked for after the put. What nobody asked a ticket for may wait for company.
 * Bounds    are looked at before a packet has any effect, through room(): its puts are not refused half-way, and what
 *           only moves on or replaces what is there goes in at the bound too.
 */
#ifndef BROKER_LEDGER_H
#define BROKER_LEDGER_H

#include "base/cursor.h"

#include <stddef.h>
#include <stdint.h>

enum { LEDGER_BUSY = 1, LEDGER_FULL = 2 };

struct ledger_ops {
	/* Once, before anything else: all that is live, ascending. The bytes are borrowed for the call. Not 0 from `each`
	 * ends the walk and is returned. */
	int (*replay)(void *ctx, int (*each)(void *arg, uint64_t number, struct span bytes), void *arg);

	/* Would something new be taken now? 0; LEDGER_BUSY: memory is full until wake_fd is readable, stop reading whoever
	 * brings it; LEDGER_FULL: the disk's bound is reached, refuse it. */
	int (*room)(void *ctx);

	/* The parts, one behind the other, become an entry. 0 with its number, or -errno. */
	int (*put)(void *ctx, const struct span *parts, size_t count, uint64_t *number);
	void (*drop)(void *ctx, uint64_t number); /* cannot fail: a crash before its commit brings the entry back */

	uint64_t (*ticket)(void *ctx);    /* of the commit that all of the above so far will be in */
	uint64_t (*committed)(void *ctx); /* the last ticket that is safe; also clears wake_fd */
	int (*wake_fd)(void *ctx);        /* readable when committed() has moved, or after BUSY when there is room */
	void (*turn_over)(void *ctx);     /* the end of a turn: what was gathered may be committed from here on */
};

struct ledger {
	const struct ledger_ops *ops;
	void *ctx;
};

#endif
