/* SPDX-License-Identifier: MIT */
/* leave.h - what is still to be done for sessions whose client is away: wills that are due, and clearing what they had.
 *
 * Owner     broker thread.
 * When      at once where the leavers' share of a turn has time, else in order, a piece in each turn (turn.h). What a
 *           session had may be a million subscriptions: it is cleared piece by piece, too.
 * Seen      nobody sees the difference. Whoever is away is away for every delivery from the moment it is known; a session
 *           that is over keeps nothing and gets nothing, its client id is nobody's, and a client that comes back finds
 *           what was due before it done (leave_settle).
 * Crash     what a session that ends had on its way for a share is passed on before its entry in the ledger is struck
 *           out, and its entry before anything else: what a crash leaves of it belongs to nobody, and a start strikes
 *           that out.
 */
#ifndef BROKER_LEAVE_H
#define BROKER_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

struct broker;
struct session;

struct leavers {
	struct session *first, **last;
	uint32_t over; /* sessions that are over, while their client id is still taken */
};

enum leave_stage {
	LEAVE_NOT,
	LEAVE_DUE,     /* it waits for its will to be sent, or to end */
	LEAVE_ENDING,  /* it is over */
	LEAVE_UNNAMED, /* and its client id is free */
};

void leave_start(struct broker *b);
void leave_due(struct session *s);      /* its will is to be sent, or its time is over */
void leave_end(struct session *s);      /* it is over */
void leave_make_way(struct session *s); /* it is over, and its client id free now */
void leave_all(struct session *s);      /* it is over, and cleared and freed now */
/* Its client is here. What was due is done first; false: the session is over, and its client id free. */
bool leave_settle(struct session *s);
void leave_serve(struct broker *b); /* a share of a turn */
bool leave_waits(const struct broker *b);

#endif
