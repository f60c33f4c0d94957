/* SPDX-License-Identifier: MIT */
/* exchange.h - one Modbus transaction: what is asked, which frame is its answer, and what became of it.
 *
 * Owner     line thread.
 * Outcomes  enum outcome; exchange.reason says why it is not OUTCOME_OK.
 */
#ifndef DRIVERS_EXCHANGE_H
#define DRIVERS_EXCHANGE_H

#include "drivers/ops.h"
#include "drivers/pdu.h"

struct ahead;
struct doubt;

struct exchange {
	const struct request *request;
	struct reply *reply;
	int64_t timeout_us;  /* for the reply to begin, from when the request has left */
	bool echo;           /* the adapter returns what is sent */
	struct doubt *doubt; /* what may still come late; NULL: replies are numbered */
	struct ahead *ahead; /* other requests that are under way meanwhile; NULL: there is one at a time */

	/* what became of it */
	int64_t sent_us;  /* the request has left */
	int64_t first_us; /* the first byte of the reply, or 0 */
	int64_t done_us;
	unsigned foreign;   /* frames of others that were waited through; late ones are counted by doubt */
	uint8_t set_aside;  /* an exception that may be the late answer to an earlier request; 0: none */
	bool doubtful;      /* OUTCOME_REFUSED by that one: nothing else came */
	bool behind;        /* others were under way: when it came says nothing of its device */
	const char *reason; /* "timeout", "crc", "exception 2", ...; static */
};

void exchange_begin(struct exchange *x);
/* A whole frame (unit and PDU) has come. True: it is the answer; else it was waited through. */
bool exchange_answered(struct exchange *x, const uint8_t *frame, size_t len);

enum outcome exchange_fail(struct exchange *x, enum outcome outcome, const char *reason);
/* What a wait that did not end with a byte comes to; r as drivers/wire.h has it; heard: a part of a frame is there. */
enum outcome exchange_waited(struct exchange *x, int r, bool heard);
/* What came back was not what was sent; r: of the wait until a reply, of a device that has understood it nevertheless,
 * would have begun. */
enum outcome exchange_echo(struct exchange *x, int r);
/* Answered by an exception. */
enum outcome exchange_refused(struct exchange *x);

#endif
