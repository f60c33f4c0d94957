/* SPDX-License-Identifier: MIT */
/* shakes.h - connections whose TLS hand-shake is being made, by the broker's worker for them: they wait unread.
 *
 * Owner     broker thread; the steps themselves are made on the worker's (tls_shake.h).
 * Bound     SHAKES_MAX steps wait for the worker. Who comes then is not read before there is room, and costs nothing
 *           more than the connection that it is.
 * Fairness  of those who wait for room, addresses take turns: whoever comes again and again from one waits for himself.
 *           There are SHAKES_PLACES of them; those that share one share its turns.
 */
#ifndef BROKER_SHAKES_H
#define BROKER_SHAKES_H

#include "broker/tls.h"
#include "broker/turn.h"

struct broker;
struct conn;

enum { SHAKES_MAX = 32, SHAKES_PLACES = 256 };

struct shakes {
	struct tls_hands hands;
	struct conn *away; /* a step of theirs waits for the worker, or is made */
	struct turn_queue places[SHAKES_PLACES];
	uint32_t next;       /* whose turn it is */
	bool crowded;        /* some wait for room: of all others nobody passes them */
	struct conn *chosen; /* of them, now: only compared */
};

int shakes_start(struct broker *b);
void shakes_stop(struct broker *b); /* when there are no connections any more */

void shakes_wait(struct conn *c);           /* its layer is away */
struct conn *shakes_next(struct broker *b); /* for whom there is room now, taken out; NULL: nobody, or there is none */
bool shakes_have_next(struct broker *b);

#endif
