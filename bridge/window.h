/* SPDX-License-Identifier: MIT */
/* window.h - the records in flight, and how far the upstream has everything.
 *
 * Owner     the bridge's loop thread.
 * Memory    cap slots, each with one reference to its message.
 * When full window_push() is not to be called (window_full()).
 *
 * Records enter in the order of the store and leave it from the front, once each is done; acknowledgements may come
 * in any order. A slot keeps its number from push to leaving, so the number serves as the uplink's tag. The cursor is
 * one less than the oldest record that is not done, or, when nothing is in flight, the last record looked at: records
 * that no rule selects are passed and cost no slot.
 */
#ifndef BRIDGE_WINDOW_H
#define BRIDGE_WINDOW_H

#include "base/msg.h"
#include "bridge/bridge.h"

enum window_phase { WINDOW_WAITING, WINDOW_SENT, WINDOW_DONE };

struct window_slot {
	uint64_t seq;
	struct msg *msg;
	const struct bridge_rule *rule; /* NULL: a gap record */
	int64_t sent_ms;                /* when it was given to the uplink */
	int64_t due_ms;                 /* WAITING: not before */
	uint16_t refusals;
	uint8_t phase;
	bool late;  /* it waited in the store while the link was down */
	bool again; /* given to an uplink before: the upstream may have it already */
};

struct window {
	struct window_slot *slots;
	size_t cap;
	uint64_t head, tail; /* places, ever increasing; place % cap is the slot */
	uint64_t unsent;     /* no place before this one is WAITING */
	uint64_t seen;       /* seq of the last record looked at */
	size_t sent, sent_bytes;
};

int window_init(struct window *w, size_t cap, uint64_t cursor);
void window_fini(struct window *w); /* zeroed is fine */

bool window_full(const struct window *w);
size_t window_count(const struct window *w); /* pushed and not left */
uint64_t window_cursor(const struct window *w);

void window_pass(struct window *w, uint64_t seq);                                   /* not ours */
size_t window_push(struct window *w, uint64_t seq, struct msg *m);                  /* takes its own reference */
struct window_slot *window_next(struct window *w, int64_t now_ms, int64_t *due_ms); /* oldest that may be sent; NULL:
										      * none, *due_ms says when (or -1) */
size_t window_index(const struct window *w, const struct window_slot *slot);
void window_sent(struct window *w, struct window_slot *slot, int64_t now_ms);
void window_done(struct window *w, struct window_slot *slot);
void window_retry(struct window *w, struct window_slot *slot, int64_t due_ms);
void window_unsend(struct window *w);             /* the link is gone: what was sent is sent again, in order */
int64_t window_oldest_ms(const struct window *w); /* when the oldest unacknowledged one was sent; -1: none */

#endif
