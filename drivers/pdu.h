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
	FC_LOOPBACK = 8, /* comes back as it was sent: address 0, and any number as count */
	FC_WRITE_COILS = 15,
	FC_WRITE_REGISTERS = 16,
	FC_MASK_WRITE = 22,
	FC_WRITE_READ = 23, /* registers are written, then registers are read, in one transaction */
	FC_IDENTIFY = 43,   /* device identification (MEI type 14) */

	PDU_MAX = 254, /* unit and PDU, without CRC */
	PDU_MAX_REGISTERS = 125,
	PDU_MAX_BITS = 2000,
	PDU_MAX_WRITE = 123,
	PDU_MAX_WRITE_READ = 121, /* what FC_WRITE_READ can write */
};

/* What FC_IDENTIFY asks for: streams of objects, from one on. */
enum { IDENTIFY_BASIC = 1, IDENTIFY_REGULAR = 2 };

struct request {
	uint8_t unit, function;
	uint16_t address;
	uint16_t count;                    /* registers or bits */
	uint16_t and_mask, or_mask;        /* FC_MASK_WRITE */
	uint16_t read_address, read_count; /* FC_WRITE_READ: what is read after the write */
	uint8_t code, object;              /* FC_IDENTIFY: IDENTIFY_BASIC, and the first object wanted */
	uint16_t regs[PDU_MAX_WRITE];      /* what is written; a coil is 0 or 1 */
};

/* Objects of a device identification, as they stand: id, length, bytes, each. */
struct pdu_objects {
	bool more; /* ask again, from `next` on */
	uint8_t next, number;
	uint8_t len;
	uint8_t bytes[PDU_MAX];
};

struct reply {
	uint8_t exception; /* 0: none */
	uint16_t count;
	union {
		uint16_t regs[PDU_MAX_REGISTERS];
		uint8_t bits[PDU_MAX_BITS]; /* one each */
		struct pdu_objects objects; /* FC_IDENTIFY */
	};
};

/* out: PDU_MAX bytes; the length. */
size_t pdu_build(const struct request *q, uint8_t *out);
/* Bytes of the reply to q (unit and PDU) when it is no exception; of FC_IDENTIFY the most that it can be. */
size_t pdu_reply_len(const struct request *q);
/* How long the reply is of which these are the first bytes (unit and PDU), as far as they tell: more than len while it
 * is not whole. Of a function that nobody here asks for the end is unknown: PDU_MAX. */
size_t pdu_need(const uint8_t *frame, size_t len);

enum { PDU_FOREIGN = 1 };
/* frame: unit and PDU. 0: the reply to q (an exception too), or PDU_FOREIGN. */
int pdu_match(const struct request *q, const uint8_t *frame, size_t len, struct reply *out);

uint16_t pdu_crc(const uint8_t *frame, size_t len); /* RTU's; its low byte goes first */

/* The next object: its text is as it stands, *at moves on. False after the last. */
bool pdu_object(const struct pdu_objects *o, size_t *at, uint8_t *id, const uint8_t **text, size_t *len);

bool pdu_is_read(uint8_t function);
bool pdu_is_bits(uint8_t function);

#endif
