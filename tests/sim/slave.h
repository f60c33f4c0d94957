/* SPDX-License-Identifier: MIT */
/* slave.h - one simulated Modbus slave: its four tables, the function codes, and the faults it is told to have.
 *
 * What stands in the tables, so that a reader can tell a right value from a wrong one (unit U, address A, holding
 * and input registers alike; two- and four-register values have their high word first):
 *   0-1    uint32: goes up by one each time register 0 is read, so that a skipped or repeated reading shows
 *   2-3    uint32: tenths of a second since the start
 *   4-5    float32: 100 * sin, one turn in 60 s
 *   6      int16: the same sine, times ten
 *   7      the unit id
 *   8-9    float32: U + 0.5
 *   10-11  int32: -123456
 *   12-15  float64: pi
 *   else   (A + 1000 * U) modulo 65536
 * Coils and discrete inputs: 0 changes each second, 1 with each reading, else 1 when (A + U) is a multiple of 3.
 * What is written stays written.
 */
#ifndef SIM_SLAVE_H
#define SIM_SLAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PDU_MAX = 253 };

enum table { COILS, DISCRETES, HOLDINGS, INPUTS, N_TABLES };
extern const char *const table_names[N_TABLES];

/* What is wrong with a slave. All but DEAD and EXCEPTION are worked by the transport. */
enum fault_kind {
	FAULT_NONE,
	FAULT_DEAD,     /* says nothing */
	FAULT_LATE,     /* arg: answers so many ms late */
	FAULT_WRONG_ID, /* answers under another unit id */
	FAULT_BAD_CRC,
	FAULT_TRUNCATED, /* arg: so many bytes are missing at the end */
	FAULT_EXCEPTION, /* arg: code */
	FAULT_NOISE,     /* arg: so many stray bytes before the reply */
	FAULT_WRONG_FC,  /* answers under another function code */
	FAULT_SHORT,     /* a well-formed reply with one register too few */
	N_FAULTS
};
extern const char *const fault_names[N_FAULTS];

struct fault {
	enum fault_kind kind;
	int64_t arg;
	int64_t left;  /* requests it still strikes; below 0: for ever */
	int64_t every; /* strikes each so-manieth request; 1: all */
};

struct slave_stats {
	uint64_t requests, replies, exceptions, struck, registers;
	uint64_t by_fc[128];
};

struct cell {         /* a written register or bit */
	uint32_t key; /* table << 16 | address */
	uint16_t value;
};

struct range {
	enum table table;
	uint16_t from, to;
	bool whole; /* may be read, but only as a whole */
};

struct slave {
	uint8_t unit;
	int64_t max_registers; /* per request; more is exception 3 */
	struct fault fault;
	int64_t busy_until_us; /* with an answer that is late: it answers one request after the other */
	struct slave_stats stats;
	uint64_t reads[N_TABLES]; /* of address 0 or 1 */
	struct cell *cells;       /* by key */
	size_t cell_count, cell_cap;
	struct range *ranges;
	size_t range_count;
	struct slave *next;
};

struct slave *slave_new(uint8_t unit);                        /* NULL: no memory */
void slave_free(struct slave *s);                             /* with all that follow; NULL is fine */
struct slave *slave_find(struct slave *first, unsigned unit); /* NULL: none */

uint16_t slave_get(struct slave *s, enum table t, uint16_t address, int64_t now_us); /* no reading is counted */
int slave_set(struct slave *s, enum table t, uint16_t address, uint16_t value);      /* 0 or -ENOMEM */
int slave_range(struct slave *s, const struct range *r); /* a hole, or a whole; 0 or -ENOMEM */

/* Does the fault strike this request? Counts. */
struct fault slave_struck(struct slave *s);
/* Answers a request; the length of the reply, an exception is one. */
size_t slave_answer(struct slave *s, const uint8_t *pdu, size_t len, uint8_t reply[PDU_MAX], int64_t now_us);
size_t slave_exception(struct slave *s, uint8_t fc, uint8_t code, uint8_t reply[PDU_MAX]);

#endif
