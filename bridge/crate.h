/* SPDX-License-Identifier: MIT */
/* crate.h - records that travel upstream as one message, and are settled by its acknowledgement.
 *
 * Owner     the bridge's loop thread.
 * Memory    a reference to each record's message; the caller bounds them.
 * Pins      a crate pins the cursor: while it lives, the cursor stays before its oldest record. Pins hang in the order
 *           of their seqs, so the first of a ring says how far the cursor may go.
 *
 * A crate that is refused, or too large to be sent, is sent in parts: half of it, half of that, down to a single
 * record, which can then be judged by itself. What was settled or set aside stays so, the rest follows in order.
 */
#ifndef BRIDGE_CRATE_H
#define BRIDGE_CRATE_H

#include "bridge/bridge.h"

struct pin { /* of a ring; the ring's head is one as well */
	struct pin *prev, *next;
	uint64_t seq;
};

void pin_ring(struct pin *head);
void pin_hang(struct pin *head, struct pin *p, uint64_t seq); /* seq is above those of the ring */
void pin_off(struct pin *p);                                  /* of no ring is fine */
void pin_instead(struct pin *p, struct pin *old);             /* takes old's place and seq */

struct crate_record {
	uint64_t seq;
	struct msg *msg; /* NULL: done with */
	bool late;
};

struct crate {
	struct pin pin;
	struct crate *next, *chain; /* the packer's lists */
	const struct bridge_rule *rule;
	char *topic; /* upstream */
	size_t topic_len;
	struct crate_record *records;
	size_t count, cap;
	size_t bytes; /* of the messages */
	size_t done;  /* records before this one are settled */
	size_t part;  /* so many from there on are sent as one; 0: all */
	int64_t due_ms;
	bool exempt; /* of classes that gate.h lets through */
	bool alarm;  /* there is one in it */
};

int crate_new(struct crate **out, const struct bridge_rule *rule, const char *topic, size_t topic_len);
void crate_free(struct crate *c);                                       /* takes its pin off; NULL is fine */
int crate_add(struct crate *c, uint64_t seq, struct msg *m, bool late); /* takes its own reference */

size_t crate_part(const struct crate *c); /* records of the part that is to be sent */
bool crate_split(struct crate *c);        /* the part is half of what it was; false: it is a single record */
void crate_drop(struct crate *c, struct crate_record *r);
bool crate_settled(struct crate *c); /* the part is; true: nothing is left */

#endif
