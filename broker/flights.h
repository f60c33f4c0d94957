/* SPDX-License-Identifier: MIT */
/* flights.h - after a restart: what was in flight goes back into the windows, under its packet ids and in its order.
 *
 * Owner     whoever restores; lives for that long.
 * Order     entries of one window ascend as its ids do. QoS 1 that was sent from the queue has no id in the ledger: what
 *           stood in the queue before something that has one was sent before it.
 */
#ifndef BROKER_FLIGHTS_H
#define BROKER_FLIGHTS_H

#include "broker/window.h"

#include <stddef.h>

struct broker;
struct session;

struct flights {
	struct flight *all;
	size_t count, cap;
};

/* The delivery is the caller's no more. before: see entry.h. 0 or -ENOMEM. */
int flights_add(struct flights *f, struct session *s, const struct delivery *d, struct mark mark, uint64_t before);
void flights_place(struct flights *f, struct broker *b);
/* The session was connected when the process ended: the head of its queue may have been sent. */
void flights_maybe_sent(struct session *s);
void flights_fini(struct flights *f);

#endif
