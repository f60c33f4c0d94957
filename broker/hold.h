/* SPDX-License-Identifier: MIT */
/* hold.h - publishers that wait: for the store, for a tap, or for a receiver that has fallen behind.
 *
 * Owner     broker thread.
 * A held connection is not read; the packet at hand and what came behind it is kept. It stands in one list of waiters,
 * which is released as a whole; those released go on at the end of the turn.
 */
#ifndef BROKER_HOLD_H
#define BROKER_HOLD_H

#include "broker/conn.h"

void hold_conn(struct conn *c, struct conn **waiters); /* until hold_release() of that list; held already is fine */
/* The same for one of which nothing is kept back but that it is not read: it stands in the list, and is not `held`. */
void hold_join(struct conn *c, struct conn **waiters);
void hold_turn_over(struct conn **from, struct conn **to); /* the first of from becomes the last, before those of to */
void hold_leave(struct conn *c);                           /* out of whatever list it is in */
void hold_release(struct broker *b, struct conn **waiters);
void hold_resume_all(struct broker *b); /* those released before this call */
/* Frees those who wait for c, if it has drained or counts as slow. */
void hold_unchoke(struct conn *c);

#endif
