/* SPDX-License-Identifier: MIT */
/* delivery.h - messages that a session keeps: in its queue, or in its window until they are acknowledged.
 *
 * Owner     broker thread.
 * Bounds    counted in session->queue->bytes and broker->queued_bytes; session.c decides what is too much.
 */
#ifndef BROKER_DELIVERY_H
#define BROKER_DELIVERY_H

#include "broker/session.h"

enum { DELIVERY_PUMP = 512 * 1024 }; /* what one session gets from its queue per turn */

bool delivery_keep(struct session *s, struct delivery *d, struct msg *m); /* its own reference; false: no memory */
/* Subscription identifiers: one in place, more as a list in the broker's cells. false: no memory. */
bool delivery_keep_ids(struct broker *b, struct delivery *d, const uint32_t *ids, size_t n);
void delivery_release(struct session *s, struct delivery *d); /* its message and its ids */
void delivery_done(struct session *s, struct delivery *d);    /* acknowledged: leaves the window */
void delivery_send_now(struct session *s, uint16_t id);       /* QoS 2 that waited for its commit */

/* PUBREL, or the PUBLISH with this id, goes when all that was put so far is safe. Of a session that is in the ledger. */
void delivery_flight(struct session *s, uint8_t type, uint16_t id);

/* The head of the queue to this place in the window, with its message, and what the ledger has of it. */
void delivery_move(struct session *s, struct delivery *w);

void delivery_pump(struct session *s);          /* what may go now of what is queued */
bool delivery_waiting(const struct session *s); /* would delivery_pump() send something, given room in the socket? */
void delivery_resume(struct session *s);        /* after a reconnect: what was in flight, then the queue */

#endif
