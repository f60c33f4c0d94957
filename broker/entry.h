/* SPDX-License-Identifier: MIT */
/* entry.h - the entries of the ledger: what each kind holds, and its bytes.
 *
 * Pure. Decoding checks everything, since the bytes come from a disk: topics, filters and properties are well-formed, and
 * every number is in its range. A kind that is not known here (of a newer weir) is an outcome, not a mistake.
 *
 * Entries name each other by number, always a lower one: a session comes before all that is its own, a message before
 * those who are to get it.
 *
 * Times are of the steady clock (durable.h), in milliseconds.
 */
#ifndef BROKER_ENTRY_H
#define BROKER_ENTRY_H

#include "base/cursor.h"
#include "base/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On disk: never given another meaning. */
enum entry_kind {
	ENTRY_CLOCK = 1,    /* how the steady clock and the wall clock stand to each other */
	ENTRY_SESSION = 2,  /* a client; all of its own names it by the number of this */
	ENTRY_STATE = 3,    /* the terms of a session; replaced at each change */
	ENTRY_WILL = 4,     /* what is to be published for it */
	ENTRY_SUB = 5,      /* a subscription */
	ENTRY_MESSAGE = 6,  /* one that deliveries name */
	ENTRY_DELIVERY = 7, /* a message on its way to a session: queued, sent, or released */
	ENTRY_RECEIVED = 8, /* a packet id of QoS 2 from the client: PUBLISH seen, PUBREL not yet */
	ENTRY_RETAINED = 9,
	ENTRY_SOURCE = 10, /* the last number that an upstream gave to a message of its own */
	ENTRY_OWED = 11,   /* a will that is due, and has not come everywhere yet (owed.h) */
	ENTRY_DIRECT = 12, /* a message that one session alone is to get, at QoS 1: MESSAGE and DELIVERY in one */
	ENTRY_ORDER = 13,  /* a command that has no outcome yet (orders.h) */
};

enum { ENTRY_WANTED = 1 }; /* RECEIVED: an upstream was to get it as well */
enum { ENTRY_PLACED = 1 }; /* OWED: all of it is done but that the store has it */
enum { ENTRY_ORDER_NAME = 64 };

struct entry {
	uint8_t kind;
	uint64_t session; /* STATE, WILL, SUB, DELIVERY, RECEIVED, DIRECT */

	struct span name;     /* SESSION: client id; STATE: user, empty for none; SOURCE; ORDER: who sent it */
	uint64_t epoch, last; /* SOURCE; ORDER: the boot that weir took it in, and when, monotonic */
	uint8_t version;      /* STATE */
	uint32_t seconds;     /* STATE: session expiry; WILL: delay */
	int64_t at_ms;        /* STATE: when the connection ended, 0: it has not; CLOCK; messages: when weir took it */
	int64_t wall_ms;      /* CLOCK; messages: when it came to be */

	struct span topic, props, payload; /* WILL, MESSAGE, RETAINED, OWED, DIRECT, ORDER */
	uint32_t expiry_s;
	uint8_t qos, class;
	bool retain;

	struct span group, filter; /* SUB; group empty: not shared */
	uint32_t opts;             /* SUB: see subs.h */

	/* DELIVERY; of them DIRECT has share, id, flags, and one of ids at most */
	uint64_t message; /* 0 when it is released */
	uint64_t
		before; /* DELIVERY: the number it had in the queue, or before it was released; 0: none. OWED: as a will */
	uint64_t share; /* DELIVERY: the SUB it came through; 0: none that is shared */
	uint16_t id;    /* DELIVERY: packet id, 0: none yet; RECEIVED */
	uint8_t flags;  /* DELIVERY: see window.h; RECEIVED; OWED */
	uint8_t state;  /* DELIVERY: SENT (queued: with id 0) or RELEASED */
	uint32_t id_count;
	struct span ids; /* subscription identifiers, four bytes each */
};

/* What to hand to the ledger: the first part is in head, the others are those of the entry. */
enum { ENTRY_HEAD = 128, ENTRY_PARTS = 4 };
struct entry_bytes {
	uint8_t head[ENTRY_HEAD];
	struct span parts[ENTRY_PARTS];
	size_t count;
};
void entry_encode(struct entry_bytes *out, const struct entry *e);
void entry_put_id(uint8_t out[4], uint32_t id); /* one of ids */
uint32_t entry_id(const struct entry *e, uint32_t i);

enum { ENTRY_UNKNOWN = 1, ENTRY_BAD = 2 };
int entry_decode(struct entry *out, struct span bytes); /* 0, UNKNOWN or BAD; out points into bytes */

/* A message as an entry, and back. to: the steady clock when the monotonic one is at 0. */
void entry_of_msg(struct entry *e, const struct msg *m, int64_t to);
struct msg *entry_msg(const struct entry *e, int64_t to); /* NULL: no memory */

#endif
