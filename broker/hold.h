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
/* One turn delivers so much, whoever publishes it, and for so long: one read of small messages to a thousand receivers
 * that do not read is worth seconds of work. true: c is held and goes on in the next turn, behind those that were held
 * before it. */
enum { HOLD_TURN_WORK = 65536, HOLD_TURN_US = 5000 };
void hold_turn_begins(struct broker *b);
bool hold_for_turn(struct conn *c);
void hold_next_turn(struct loop_timer *t); /* broker->turn_timer */
void hold_leave(struct conn *c);           /* out of whatever list it is in */
void hold_release(struct broker *b, struct conn **waiters);
void hold_resume_all(struct broker *b); /* those released before this call */
/* Frees those who wait for c, if it has drained or counts as slow. */
void hold_unchoke(struct conn *c);

#endif
