/* SPDX-License-Identifier: MIT */
/* promise.h - nothing acknowledged is lost: the store and the taps come first, the answer last.
 *
 * Owner     broker thread.
 * Order     the answers of one connection leave in the order of its publishes; one that waits for a commit holds
 *           back those behind it.
 * Memory    16 bytes per waiting answer, at most 65,536 a connection: past that it is not read.
 */
#ifndef BROKER_PROMISE_H
#define BROKER_PROMISE_H

#include "broker/deliver.h"

/* How far a publish that was held has come: what must not be done twice. */
struct progress {
	uint64_t ticket;
	uint16_t taps;
	bool kept;
};

/* Hands the message to the store, if an upstream wants it, and to the taps. LATER: not all of it now; call again with
 * the same progress. FULL: refused by the store (for QoS 0 and for our own posts: only counted, never returned). */
enum { PROMISE_LATER = 1, PROMISE_FULL = 2 };
int promise_take(struct broker *b, const struct route *r, struct post *p, bool stored, struct progress *progress);

/* Answers a publish now, or when the ticket is committed. 0: no ticket. */
void promise_answer(struct conn *c, uint8_t type, uint16_t id, uint8_t reason, uint64_t ticket);
bool promise_full(const struct conn *c); /* too many answers wait */
void promise_forget(struct conn *c);     /* the connection goes */

int promise_start(struct broker *b); /* watches the store */
void promise_retry_later(struct broker *b);
/* How far the publish at hand of a held connection has come; nothing for others. */
struct progress promise_progress(const struct conn *c);
int promise_hold(struct conn *c, const struct progress *p); /* 0 or -ENOMEM */

#endif
