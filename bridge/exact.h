/* SPDX-License-Identifier: MIT */
/* exact.h - what stands between weir and an upstream at QoS 2, remembered past the end of the process.
 *
 * Owner     the bridge's loop thread; exact_released() and exact_answered() may come from another.
 * Promise   what is told to it here survives kill -9 of the process and of the gateway, at once: the file is mapped,
 *           so the kernel has what was written to it. After a power cut it is not trusted (exact_trusted()): then the
 *           session has to be begun anew, and what was in flight is sent again with the same seq.
 * Memory    one file, DIR/exact-NAME (bridge/mapped.h).
 * Bounds    EXACT_ENTRIES records that were sent and are not behind the floor; of more the oldest are forgotten, and
 *           would be sent again after a kill.
 *
 * A packet id is what the upstream knows a QoS 2 message by until it is released. So a record that was sent under an
 * id must be sent again under the same one, as long as it is the same session; and of one that was released only the
 * PUBREL may be sent again. A record is known here by its seq and a sum over what it says, so that another record
 * under the same seq, of a store that was begun anew, is never taken for it.
 */
#ifndef BRIDGE_EXACT_H
#define BRIDGE_EXACT_H

#include "base/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXACT_FILE "exact"

enum { EXACT_ENTRIES = 16384 };

enum exact_state {
	EXACT_NONE,     /* nothing is known of it: it may be sent */
	EXACT_SENT,     /* the upstream may have it under its id */
	EXACT_RELEASED, /* the upstream has it (PUBREC), and may have been told to let the id go (PUBREL) */
	EXACT_DONE,     /* and has let it go (PUBCOMP) */
};

struct exact;

/* -EBUSY: another process has it, and did not end within a second. */
int exact_open(struct exact **out, const char *dir, const char *upstream);
void exact_close(struct exact *e); /* also good after a power cut, then; NULL is fine */

/* The session it knows of: whether the file is to be believed, and is of this address. */
bool exact_trusted(const struct exact *e, const char *address);
void exact_begin(
	struct exact *e, const char *address); /* the upstream holds nothing of ours now: nothing is in flight */

/* The upstream has everything up to here. Counts only for the store in DIR that it was set with. */
uint64_t exact_floor(const struct exact *e);
void exact_set_floor(struct exact *e, uint64_t seq);

uint32_t exact_sum(const struct msg *m);
void exact_sent(struct exact *e, uint64_t seq, uint32_t sum, uint16_t id); /* before it leaves */
void exact_released(struct exact *e, uint16_t id);                         /* before its PUBREL leaves */
/* The last answer to it: true when it is done. A refusal in place of PUBREC makes it unknown again: false. */
bool exact_answered(struct exact *e, uint16_t id, bool success);

size_t exact_in_flight(const struct exact *e); /* sent or released */
/* The next of these in the order of sending; *at begins with 0. */
struct exact_held {
	uint64_t seq;
	uint32_t sum;
	uint16_t id;
	bool released;
};
bool exact_next(const struct exact *e, size_t *at, struct exact_held *out);

/* What is known of a record. As of exact_recall(), which looks through all of the file: what was in flight or done by
 * then is found in what state it is now, everything sent later is unknown. */
void exact_recall(struct exact *e);
enum exact_state exact_find(const struct exact *e, uint64_t seq, uint32_t sum);

#endif
