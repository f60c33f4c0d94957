/* SPDX-License-Identifier: MIT */
/* promise.h - nothing acknowledged is lost: the store and the taps come first, the answer (acks.h) last.
 *
 * Owner     broker thread.
 */
#ifndef BROKER_PROMISE_H
#define BROKER_PROMISE_H

#include "broker/acks.h"
#include "broker/deliver.h"

/* Hands the message to the store, if an upstream wants it, and to the taps. LATER: not all of it now; call again with
 * the same progress. FULL: refused by the store (for QoS 0 and for our own posts: only counted, never returned). */
enum { PROMISE_LATER = 1, PROMISE_FULL = 2 };
int promise_take(struct broker *b, const struct route *r, struct post *p, bool stored, struct progress *progress);

int promise_start(struct broker *b); /* watches the store */
void promise_retry_later(struct broker *b);

#endif
