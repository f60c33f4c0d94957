/* SPDX-License-Identifier: MIT */
/* rtu.h - one Modbus transaction on an open port or connection.
 *
 * Owner     line thread.
 * Framing   a serial RTU line goes through libmodbus on a descriptor that is only lent to it: it adds and checks the
 *           CRC and knows where a reply ends; silence, waiting, matching and recovery are ours. All else, and functions
 *           that libmodbus does not know, are framed by drivers/frame.h.
 * Outcomes  enum outcome; exchange.reason says why it is not OUTCOME_OK. After OUTCOME_SILENT or OUTCOME_GARBLED a TCP
 *           connection is spoiled (the late reply would meet the next request): close it.
 */
#ifndef DRIVERS_RTU_H
#define DRIVERS_RTU_H

#include "drivers/ops.h"
#include "drivers/pdu.h"
#include "drivers/wire.h"

struct rtu;

struct exchange {
	const struct request *request;
	struct reply *reply;
	int64_t timeout_us; /* for the reply to begin, from when the request has left */
	bool echo;          /* the adapter returns what is sent */

	/* what became of it */
	int64_t sent_us;  /* the request has left */
	int64_t first_us; /* the first byte of the reply, or 0 */
	int64_t done_us;
	unsigned foreign;   /* frames of others that were waited through */
	const char *reason; /* "timeout", "crc", "exception 2", ...; static */
};

int rtu_new(struct rtu **out, enum line_driver driver);
void rtu_free(struct rtu *r); /* NULL is fine; the descriptor stays open */
enum outcome rtu_exchange(struct rtu *r, struct wire *w, struct exchange *x);

const char *rtu_exception_text(unsigned code); /* "exception 2" */

#endif
