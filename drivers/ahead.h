/* SPDX-License-Identifier: MIT */
/* ahead.h - Modbus TCP requests that were sent before their turn, and the replies that came. Pure.
 *
 * To a server some milliseconds away several requests are under way at once; the number in each reply tells which it
 * answers. A job still runs in its turn: it finds its request sent, or answered, already.
 *
 * Owner     line thread; one for each line with max_in_flight above 1.
 * Memory    AHEAD_MAX requests.
 */
#ifndef DRIVERS_AHEAD_H
#define DRIVERS_AHEAD_H

#include "drivers/pdu.h"

enum { AHEAD_MAX = 16 };

struct ahead_sent {
	struct request request;
	uint16_t number;
	bool wanted; /* false: its reply is of no use any more, and only waited for */
	bool behind; /* another one was under way when it was sent */
	int64_t sent_us;
	/* of the reply; len 0: it has not come */
	int64_t first_us, done_us;
	size_t len;
	uint8_t frame[PDU_MAX];
};

struct ahead {
	size_t limit;     /* of requests under way */
	unsigned trouble; /* in a row: requests behind others that had no answer */
	int64_t heard_us; /* the last reply */
	/* What to send together with the next request. */
	struct request next[AHEAD_MAX];
	size_t next_count;
	struct ahead_sent list[AHEAD_MAX]; /* in the order of sending */
	size_t count;
};

void ahead_clear(struct ahead *a); /* the connection is another one */
/* NULL: it is not under way, or no longer wanted. */
struct ahead_sent *ahead_find(struct ahead *a, const struct request *q);
void ahead_add(struct ahead *a, const struct request *q, uint16_t number, int64_t now_us); /* full: the oldest goes */
/* A frame with this number has come (unit and PDU). False: it is of none of these. */
bool ahead_heard(struct ahead *a, uint16_t number, const uint8_t *frame, size_t len, int64_t first_us, int64_t done_us);
void ahead_drop(struct ahead *a, struct ahead_sent *s); /* those behind it move up */
/* What was sent before that moment is not wanted any more. */
void ahead_forget(struct ahead *a, int64_t before_us);

#endif
