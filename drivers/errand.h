/* SPDX-License-Identifier: MIT */
/* errand.h - something asked of a line while it polls: write this point, read those registers.
 *
 * Owner     whoever made it, but for the time between line_submit() and done(), when it is the line's.
 * Order     errands go before polls, one at a time, in the order they were posted: on the wire within one
 *           transaction of their arrival. Those that relay what others ask go behind all of these, and take turns with
 *           the polls that are due: of a line that is full they get half of the transactions at most.
 * Promise   done() is called once for each errand that line_submit() took, on the line's thread, also when the line
 *           stops. It must only post. An errand past expires_us is never begun.
 */
#ifndef DRIVERS_ERRAND_H
#define DRIVERS_ERRAND_H

#include "drivers/opts.h"
#include "drivers/value.h"

struct line;
struct reply;
struct request;

enum errand_kind { ERRAND_WRITE, ERRAND_READ, ERRAND_IDENTIFY, ERRAND_RELAY };
enum errand_end {
	ERRAND_OK,       /* a write: and it reads back as written */
	ERRAND_MISMATCH, /* written, but it reads back as something else: `back` */
	ERRAND_REFUSED,  /* by the point's limits, or by the device: reason */
	ERRAND_FAILED,   /* no (believable) answer: it is not known whether it was carried out */
	ERRAND_EXPIRED,
	ERRAND_STOPPED,
};

enum { ERRAND_TEXT_CAP = 512, ERRAND_REGISTERS = 125 };

struct errand {
	enum errand_kind kind;
	void (*begin)(
		struct errand *e); /* of a write, on the line's thread: from here on it may be on the wire; NULL */
	void (*done)(struct errand *e);
	void *ctx;
	int64_t expires_us; /* monotonic; 0: never */

	/* ERRAND_WRITE; a text value must stay valid. Of a date, the text `now` is the moment it goes on the wire */
	size_t device; /* place in the line's list; also for ERRAND_READ when unit < 0 */
	const struct point_opts
		*point; /* of the device's map, or one of the caller's own: then nothing is told of it */
	struct value value;

	/* ERRAND_READ: a Modbus table, as it stands. ERRAND_IDENTIFY: who it is, into back as lines of text */
	int unit; /* -1: the device's */
	enum point_source source;
	uint16_t address, count;
	/* ERRAND_RELAY: somebody else's request to a unit; the caller keeps it, and has room for the reply. One to a
	 * device that is offline fails at once. */
	const struct request *request;
	struct reply *reply;
	int64_t timeout_us; /* 0: the device's */
	/* The port is set up so for this errand alone; only while no device of the line is up. NULL: as it is. */
	const struct line_opts *port_as;

	/* what became of it */
	enum errand_end end;
	bool on_wire;       /* a write: it was begun */
	const char *reason; /* static; NULL when all is well */
	uint8_t exception;  /* of a read that was refused by one */
	bool has_old, has_back;
	struct value old, back;          /* as last told before; as read after. A text of old is not kept */
	char text[ERRAND_TEXT_CAP];      /* of back */
	char stamp[32];                  /* what `now` was */
	uint16_t regs[ERRAND_REGISTERS]; /* of ERRAND_READ; a bit is 0 or 1 */
	int64_t posted_us, begun_us, ended_us;
	struct errand *next; /* the line's */
};

/* Any thread. LINE_BUSY: too many wait already, the errand stays the caller's; -ENOTSUP: the driver has no such
 * thing. The line must have been started. */
int line_submit(struct line *l, struct errand *e);
const char *errand_end_name(enum errand_end end); /* "ok", "mismatch", ... */

#endif
