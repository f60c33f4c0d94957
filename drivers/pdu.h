/* SPDX-License-Identifier: MIT */
/* pdu.h - Modbus requests and replies without their transport: unit, function, data. Pure.
 *
 * A reply carries neither a number nor, for reads, the address asked for, so pdu_match() compares all there is to
 * compare: unit, function, byte count, and the echoed address and value of a write. What does not match is foreign: a
 * late reply to an earlier request, or somebody else's.
 */
#ifndef DRIVERS_PDU_H
#define DRIVERS_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FC_READ_COILS = 1,
	FC_READ_DISCRETE = 2,
	FC_READ_HOLDING = 3,
	FC_READ_INPUT = 4,
	FC_WRITE_COIL = 5,
	FC_WRITE_REGISTER = 6,
	FC_WRITE_COILS = 15,
	FC_WRITE_REGISTERS = 16,
	FC_MASK_WRITE = 22,

	PDU_MAX = 254, /* unit and PDU, without CRC */
	PDU_MAX_REGISTERS = 125,
	PDU_MAX_BITS = 2000,
	PDU_MAX_WRITE = 123,
};

struct request {
	uint8_t unit, function;
	uint16_t address;
	uint16_t count;               /* registers or bits */
	uint16_t and_mask, or_mask;   /* FC_MASK_WRITE */
	uint16_t regs[PDU_MAX_WRITE]; /* what is written; a coil is 0 or 1 */
};

struct reply {
	uint8_t exception; /* 0: none */
	uint16_t count;
	union {
		uint16_t regs[PDU_MAX_REGISTERS];
		uint8_t bits[PDU_MAX_BITS]; /* one each */
	};
};

/* out: PDU_MAX bytes; the length. */
size_t pdu_build(const struct request *q, uint8_t *out);
/* Bytes of the reply to q (unit and PDU) when it is no exception. */
size_t pdu_reply_len(const struct request *q);

enum { PDU_FOREIGN = 1 };
/* frame: unit and PDU. 0: the reply to q (an exception too), or PDU_FOREIGN. */
int pdu_match(const struct request *q, const uint8_t *frame, size_t len, struct reply *out);

uint16_t pdu_crc(const uint8_t *frame, size_t len); /* RTU's; its low byte goes first */

bool pdu_is_read(uint8_t function);
bool pdu_is_bits(uint8_t function);

#endif
