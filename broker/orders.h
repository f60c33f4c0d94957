/* SPDX-License-Identifier: MIT */
/* orders.h - commands: given to a tap that answers for them, and kept until it has.
 *
 * Owner     broker thread.
 * Ledger    at QoS 1 and 2 an order stands there from the turn that takes it until its tap has settled it: the answer to
 *           its sender waits for that commit, and a start gives what it finds to the tap, before anything new. There is
 *           room for them at the ledger's bound, too: they are few, and an operator must not be refused for the queues of
 *           others.
 * Whose     those of clients and upstreams. What weir says itself is never an order: an answer that is sent to such a
 *           topic would be one in turn, without end.
 * When      QoS 0 and 1 are given at once, since a command is not to wait for a disk. QoS 2 is given when its entry is
 *           committed, and with it what keeps it from being taken again: so over crashes it is given once.
 * Bounds    ORDERS_WAITING wait for their commit, and ORDERS_UPSTREAM of upstreams, then their senders are held; of those
 *           that were given, the tap's.
 */
#ifndef BROKER_ORDERS_H
#define BROKER_ORDERS_H

#include "broker/broker.h"

enum { ORDERS_WAITING = 64, ORDERS_UPSTREAM = 16 };

struct entry;
struct order;
struct post;

struct orders {
	struct broker_orders to;
	struct order *first, **end; /* found, then those of QoS 2 that wait for their commit */
	unsigned waiting[2];        /* of clients; of upstreams */
	bool finding;               /* the tap has not had all that was found */
	struct broker_settlement *settling, *settling_last;
};

bool orders_take(struct broker *b, struct post *p, struct msg *m); /* false: not now */
void orders_give(struct broker *b); /* something was committed, or the tap may take again */
void orders_settle(struct broker *b, struct broker_settlement *s);

int orders_restore(struct broker *b, uint64_t number, const struct entry *e); /* 0 or -ENOMEM */
void orders_found(struct broker *b);                                          /* those were all */
void orders_init(struct broker *b);
void orders_fini(struct broker *b);

#endif
