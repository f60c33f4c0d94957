/* SPDX-License-Identifier: MIT */
/* exact.h - exactly once over a restart: ids of QoS 2 publishes that the store has taken and no PUBREL has ended.
 *
 * Owner     broker thread.
 * A publish that an upstream wants, from a session that persists, carries a key (client and packet id) into the store,
 * which remembers it in the transaction that holds the message. PUBREL releases it; PUBCOMP waits for that commit, since
 * after it the client may use the id again. After a restart the keys are given back to the sessions they belong to.
 */
#ifndef BROKER_EXACT_H
#define BROKER_EXACT_H

#include "broker/session.h"

struct exact {
	uint64_t *keys; /* found at start, not given back yet; ascending */
	size_t count;
	uint64_t *late; /* to be released when the store takes it */
	size_t late_count, late_cap;
};

int exact_start(struct broker *b);
void exact_fini(struct broker *b);
/* The key that a publish of this session carries; 0: none. */
uint64_t exact_key(const struct session *s, uint16_t id);
bool exact_restore(struct session *s); /* a session begins: what a restart left of it. Was there anything? */
/* The client begins anew: nothing of it is remembered. */
void exact_forget(struct broker *b, const void *client_id, size_t len);
/* PUBREL. 0 with a ticket, or PERSIST_BUSY. */
int exact_release(struct session *s, uint16_t id, uint64_t *ticket);
void exact_session_ends(struct session *s);
void exact_let_go(struct broker *b, uint64_t key); /* nobody asks about it any more */
bool exact_works(const struct broker *b);
bool exact_take(struct broker *b, uint64_t key); /* was it found at the start? It is the caller's to let go */
void exact_retry(struct broker *b);              /* the store woke */

#endif
