/* SPDX-License-Identifier: MIT */
/* flight.h - the records in flight, and how far the upstream has everything.
 *
 * Owner     the bridge's loop thread.
 * Memory    cap slots, each with one reference to its message, or a crate of several.
 * When full flight_push() is not to be called (flight_full()).
 *
 * Records enter in the order of the store and leave it from the front, once each is done; acknowledgements may come
 * in any order. A slot keeps its number from push to leaving, so the number serves as the uplink's tag. The cursor is
 * one less than the oldest record that is not done, or, when nothing is in flight, the last record looked at: records
 * that no rule selects are passed and cost no slot. A crate enters when it is full, behind records that are younger
 * than its oldest one: its pin says how far the cursor may go for it (crate.h).
 */
#ifndef BRIDGE_FLIGHT_H
#define BRIDGE_FLIGHT_H

#include "base/msg.h"
#include "bridge/bridge.h"
#include "bridge/crate.h"
#include "bridge/rates.h"

enum flight_phase { FLIGHT_WAITING, FLIGHT_SENT, FLIGHT_DONE };

struct flight_slot {
	uint64_t seq;
	struct msg *msg;     /* NULL: */
	struct crate *crate; /* several, or one that was held for a while */
	size_t bytes;
	const struct bridge_rule *rule; /* NULL: a gap record */
	int64_t sent_ms;                /* when it was given to the uplink */
	int64_t due_ms;                 /* WAITING: not before */
	uint32_t topic;                 /* flight_topic(); 0: not asked yet */
	uint16_t refusals;
	uint8_t proofs;      /* that the upstream ends the link over it (suspect.c) */
	uint8_t silences;    /* links that were given up while it waited longest for an answer; */
	uint8_t passed_over; /* of them, those that answered what was sent later (unanswered.c) */
	uint8_t phase;
	bool late;   /* it waited in the store while the link was down */
	bool again;  /* given to an uplink before: the upstream may have it already */
	bool exempt; /* of a class that gate.h lets through */
};

struct flight {
	struct flight_slot *slots;
	size_t cap;
	uint64_t head, tail; /* places, ever increasing; place % cap is the slot */
	uint64_t unsent;     /* no place before this one is WAITING */
	uint64_t seen;       /* seq of the last record looked at */
	struct rates *rates; /* what is over the rate of its rule does not go; NULL: there are none */
	bool strict; /* none goes while an earlier one of its topic is not done: so a refused one keeps its place */
	size_t sent, sent_bytes;
};

int flight_init(struct flight *w, size_t cap, uint64_t cursor);
void flight_fini(struct flight *w); /* zeroed is fine */

void flight_restart(struct flight *w, uint64_t cursor); /* while it is empty: the numbers begin anew */

bool flight_full(const struct flight *w);
size_t flight_count(const struct flight *w); /* pushed and not left */
uint64_t flight_cursor(const struct flight *w);

bool flight_may_go(
	const struct flight *w, const struct flight_slot *slot, int64_t now_ms, int64_t *due_ms); /* as rates_allow() */
void flight_pass(struct flight *w, uint64_t seq);                                                 /* not ours */
size_t flight_push(struct flight *w, uint64_t seq, struct msg *m);        /* takes its own reference */
struct flight_slot *flight_push_crate(struct flight *w, struct crate *c); /* owns it from now on */
/* The oldest that may be sent, of all or of those that are exempt; NULL: none, *due_ms says when (or -1). */
struct flight_slot *flight_next(struct flight *w, int64_t now_ms, bool exempt_only, int64_t *due_ms);
uint32_t flight_topic(struct flight_slot *slot); /* a sum over its topic, never 0; two topics may share one */
size_t flight_index(const struct flight *w, const struct flight_slot *slot);
void flight_sent(struct flight *w, struct flight_slot *slot, int64_t now_ms);
void flight_done(struct flight *w, struct flight_slot *slot);
void flight_retry(struct flight *w, struct flight_slot *slot, int64_t due_ms);
void flight_unsend(struct flight *w);             /* the link is gone: what was sent is sent again, in order */
int64_t flight_oldest_ms(const struct flight *w); /* when the oldest unacknowledged one was sent; -1: none */

#endif
