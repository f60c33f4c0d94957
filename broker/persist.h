/* SPDX-License-Identifier: MIT */
/* persist.h - what the broker must keep over a restart, and who keeps it.
 *
 * The broker calls these on its own thread for every change of durable state; whoever keeps it (store/, or nobody:
 * a broker without durability has ops == NULL) answers with a ticket. A promise to a client (PUBACK, PUBREC, SUBACK
 * of a persistent session, PUBCOMP) that depends on a ticket leaves only once committed() has reached it.
 */
#ifndef BROKER_PERSIST_H
#define BROKER_PERSIST_H

#include "base/msg.h"

#include <stddef.h>
#include <stdint.h>

struct persist_ops {
	/* The message goes to the store (an upstream selects it): 0 with a ticket, PERSIST_BUSY (hold the message and
	 * stop reading its publisher until wake_fd is readable), PERSIST_FULL (refuse it: 0x97), or -errno. */
	int (*keep)(void *ctx, struct msg *m, uint64_t *ticket);
	/* Does an upstream want this topic? A pure function of the topic until the broker is told otherwise by
	 * broker_routes_changed(), so the broker may cache it. */
	bool (*selects)(void *ctx, const char *topic, size_t len);
	/* Do these properties of a client's message (base/msg.h) say that it came through this gateway before? Then it is
	 * acknowledged and goes nowhere. NULL: never. */
	bool (*passed)(void *ctx, const void *props, size_t len);
	uint64_t (*committed)(void *ctx); /* also clears wake_fd */
	int (*wake_fd)(void *ctx);

	/* Exactly once. A message with msg.once set is remembered by that key in the transaction that keeps it, until
	 * release(): 0 with a ticket, or PERSIST_BUSY. once() lists what a restart found, ascending, valid for ever. Both
	 * NULL: nothing is remembered over a restart. */
	int (*release)(void *ctx, uint64_t once, uint64_t *ticket);
	const uint64_t *(*once)(void *ctx, size_t *count);
};

enum { PERSIST_BUSY = 1, PERSIST_FULL = 2 };

struct persist {
	const struct persist_ops *ops;
	void *ctx;
};

#endif
