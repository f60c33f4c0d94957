/* SPDX-License-Identifier: MIT */
/* window.h - the packet ids of one session, in both directions.
 *
 * Owner     broker thread.
 * Memory    nothing while no id is in use; then a power of two of slots, which grows when the span of ids in use
 *           needs it (at most 65,536) and goes when a large one empties.
 *
 * Ids of the window are handed out in turn, so that slot = id mod size finds one without searching, and walking
 * from the oldest yields the order of sending. The set is the same without order, for ids that the client chose.
 */
#ifndef BROKER_WINDOW_H
#define BROKER_WINDOW_H

#include "base/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum delivery_state { DELIVERY_FREE, DELIVERY_SENT, DELIVERY_RELEASED }; /* released: PUBREC came, PUBREL is out */

enum delivery_flag {
	DELIVERY_QOS = 3,
	DELIVERY_RETAIN = 4,
	DELIVERY_SHARED = 8,   /* ids holds the group, not a subscription identifier */
	DELIVERY_REPLAY = 16,  /* retained, for a new subscription: not counted against the bound for live messages */
	DELIVERY_ID_LIST = 32, /* ids is a list in the session's cells */
	DELIVERY_UNSENT = 64,  /* in the window since an earlier connection, not sent again yet */
};

/* A message on its way to one session: queued, or in the window. */
struct delivery {
	struct msg *msg; /* NULL in the window of a session that ends with its connection: never sent again */
	uint32_t ids;
	uint16_t id;
	uint8_t flags, state;
};

/* What the ledger has of a delivery; see durable.h. */
struct mark {
	uint64_t number; /* its entry; 0: none */
	uint32_t kept;   /* its message; 0: none */
};

struct window {
	struct delivery *slots; /* cap of them; when marked, cap marks behind them */
	uint32_t cap;
	uint32_t used : 30, marked : 1,
		around : 1; /* around: the ids in use no more begin at oldest and end before next */
	uint16_t oldest, next;
	uint16_t unsent, unsent_at; /* delivery.c: how many have DELIVERY_UNSENT; the id to go on with */
};

struct delivery *window_put(struct window *w); /* the next id, state SENT; NULL: none is free, or no memory */
struct delivery *window_put_as(struct window *w, uint16_t id);     /* this id, behind all others; NULL: as above */
struct delivery *window_find(const struct window *w, uint16_t id); /* NULL: not in use */
struct mark *window_mark(const struct window *w, const struct delivery *d); /* of a window that is marked */
void window_drop(struct window *w, struct delivery *d);
/* In the order of sending: after NULL the first; NULL at the end. The window may not change in between. */
struct delivery *window_next(const struct window *w, const struct delivery *after);
struct delivery *window_from(const struct window *w, uint16_t id); /* the first with this id or a later one */
void window_fini(struct window *w);                                /* the messages are the caller's */

/* What is known of an id besides. */
enum idset_flag {
	IDSET_STORED = 1,   /* the store remembers it: see msg.once */
	IDSET_RESTORED = 2, /* from before a restart: only a PUBLISH with DUP is the same one */
	IDSET_DONE = 4,     /* it had its effects here */
	IDSET_WANTED = 8,   /* an upstream was to get it */
};

struct idset {
	uint32_t *slots; /* flags << 16 | id; cap of them; when marked, cap numbers of entries behind them */
	uint32_t cap;
	uint32_t used : 31, marked : 1;
};

bool idset_has(const struct idset *s, uint16_t id);
int idset_reserve(struct idset *s, uint16_t id);             /* so that adding it does not fail. 0 or -ENOMEM */
int idset_add(struct idset *s, uint16_t id, unsigned flags); /* 0 or -ENOMEM; known already: these flags besides */
uint64_t *idset_number(const struct idset *s, uint16_t id);  /* of a set that is marked and has the id: its entry */
unsigned idset_flags(const struct idset *s, uint16_t id);    /* 0 also where the id is not */
bool idset_drop(struct idset *s, uint16_t id);               /* was it there */
void idset_fini(struct idset *s);

#endif
