/* SPDX-License-Identifier: MIT */
/* slave.h - a Modbus slave on a pty, or on a TCP port as behind a serial device server, in a thread of its own: RTU or
 * ASCII, in the functions and with the faults that it is told to have.
 *
 * It answers one request after the other, as devices do: a reply that is late holds back those behind it.
 */
#ifndef TESTS_DRIVERS_SLAVE_H
#define TESTS_DRIVERS_SLAVE_H

#include "drivers/pdu.h"
#include "tests/drivers/ptypair.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SLAVE_REGS = 256,
	SLAVE_WAIT_MS = 10, /* the longest that it sleeps in a turn */
	SLAVE_WAITING = 64, /* replies that wait for their time; more are lost */
	SLAVE_FRAME = 300,
};

enum slave_fault {
	SLAVE_SOUND,
	SLAVE_MUTE,
	SLAVE_NOISE,  /* two bytes before each reply */
	SLAVE_GLITCH, /* two that no frame begins with */
	SLAVE_EXCEPTION,
	SLAVE_BAD_CRC,
	SLAVE_STALE, /* a reply of another unit before each of its own */
	SLAVE_HOLE,  /* register 41 does not exist */
};

struct slave {
	pthread_t thread;
	int master;
	char path[PTYPAIR_PATH]; /* of the pty; over TCP its address */
	bool ascii, tcp;
	int listener;
	_Atomic bool stop;
	_Atomic int fault;
	_Atomic int late_ms;      /* each reply */
	_Atomic int busy;         /* so many requests are put off, by exceptions 5 and 6 in turn */
	_Atomic unsigned refused; /* the function it does not have; 0: it has all */
	_Atomic bool mute;        /* it says nothing to the refused function */
	_Atomic uint16_t regs[SLAVE_REGS];
	_Atomic unsigned asked[256]; /* by function */
	_Atomic unsigned requests;
	_Atomic unsigned written_at; /* requests up to the last write, it included */

	/* A test's own: the reply to q (unit and PDU; a may be changed as well), its length; 0: none. And how late it is to
	 * be. On the slave's thread. NULL: slave_answer(), and late_ms. */
	size_t (*answer)(struct slave *s, const uint8_t *q, uint8_t *a);
	int64_t (*delay_us)(struct slave *s);
	void *ctx;

	struct {
		uint8_t bytes[SLAVE_FRAME];
		size_t len;
		int64_t due_us;
	} waiting[SLAVE_WAITING];
	size_t waiting_count;
	int64_t last_due_us;
	_Atomic int64_t longest_turn_us; /* of its thread: how long a busy machine kept it from its line, and a wait */
};

void slave_start(struct slave *s); /* what a test wants of it is set before */
void slave_stop(struct slave *s);  /* stopped already is fine */
size_t slave_answer(struct slave *s, const uint8_t *q, uint8_t *a);

#endif
