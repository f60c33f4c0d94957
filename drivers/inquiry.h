/* SPDX-License-Identifier: MIT */
/* inquiry.h - a Modbus TCP request as somebody else's master sends it, and the bytes that answer it. Pure.
 *
 * Functions 1 to 6, 15, 16, 22 and 23, as the standard bounds them; function 15 with at most INQUIRY_COILS coils. What
 * is whole and cannot be asked so is refused by an exception, as a device would; after bytes that are no Modbus TCP
 * nobody knows where the next request begins.
 */
#ifndef DRIVERS_INQUIRY_H
#define DRIVERS_INQUIRY_H

#include "drivers/pdu.h"

enum {
	INQUIRY_MAX = 6 + PDU_MAX, /* bytes of a request, and of an answer */
	INQUIRY_COILS = PDU_MAX_WRITE,
};

enum inquiry_end {
	INQUIRY_MORE,  /* not all of it is there */
	INQUIRY_WHOLE, /* used; refused says whether it can be asked */
	INQUIRY_WRONG,
};

struct inquiry {
	size_t used;
	uint16_t number; /* the master's own, which the answer repeats */
	uint8_t unit, function;
	uint8_t refused; /* an exception; 0: request is what is wanted */
	struct request request;
};

enum inquiry_end inquiry_look(const uint8_t *bytes, size_t len, struct inquiry *out);
/* out: INQUIRY_MAX bytes; the length. */
size_t inquiry_answer(const struct inquiry *q, const struct reply *a, uint8_t *out);
size_t inquiry_refuse(const struct inquiry *q, uint8_t exception, uint8_t *out);

bool inquiry_knows(unsigned function);

#endif
