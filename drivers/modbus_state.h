/* SPDX-License-Identifier: MIT */
/* modbus_state.h - a Modbus line from inside: for modbus.c, which polls, and modbus_errand.c, which does what is asked
 * of the line besides.
 *
 * Owner     line thread.
 */
#ifndef DRIVERS_MODBUS_STATE_H
#define DRIVERS_MODBUS_STATE_H

#include "drivers/ahead.h"
#include "drivers/blocks.h"
#include "drivers/doubt.h"
#include "drivers/ops.h"
#include "drivers/pace.h"
#include "drivers/rtu.h"

/* What is known of a device besides its health. */
struct modbus_device {
	struct learned learned;
	size_t remembered;  /* lessons of it that stand in the file */
	struct pace spent;  /* per request, beside what the wire takes: its turnaround, and what adapters add */
	int64_t planned_us; /* what its plan was made with of that */
	bool replan;
	bool taught;                                                          /* since that plan */
	enum { LOOPBACK_UNTRIED, LOOPBACK_KNOWN, LOOPBACK_IGNORED } loopback; /* what it does upon function 8 */
	unsigned loopback_silences;                                           /* times that it did not answer it */
};

struct modbus {
	struct line *line;
	const struct line_opts *opts;
	const struct clock *clock;
	struct rtu *rtu;
	struct wire wire;
	struct blocks blocks;
	struct schedule *schedule; /* the line's; room for a job per point */
	struct reply reply;
	struct modbus_device *devices; /* owned, as many as the line has */
	struct pace spent;             /* by all of them */
	bool replan;                   /* one of them */
	int64_t stale_us;              /* since then their pace is not what their file says; 0: it is */
	uint64_t noise_bytes;          /* of the wire, as last counted */
	bool *no_mask;                 /* by device: it has no function 22 */
	struct doubt *doubt;           /* owned; NULL: replies are numbered */
	struct ahead *ahead;           /* owned; NULL: one request at a time */
	bool polling;                  /* a job runs: it may use what was sent ahead */
	uint16_t loopbacks;            /* sent; the number of the last */
	bool spoiled;                  /* the TCP connection was closed on purpose: open it for the next request */
	bool heard;                    /* something was answered since the port was opened */
};

/* drivers/modbus_ask.c: one transaction, whose reply can be no other's. */
int modbus_doubt(struct modbus *m); /* at the start; 0 or -ENOMEM */
enum outcome modbus_exchange_with(struct modbus *m, const struct request *q, struct exchange *x, int64_t timeout_us);
/* The same with a device of the line: its answer counts for its health and its pace. */
enum outcome modbus_exchange(struct modbus *m, size_t device, const struct request *q, struct exchange *x);

/* drivers/modbus.c: the request and its answer, as they pass; once more on a new connection where TCP has lost the old
 * one. */
enum outcome modbus_transact(struct modbus *m, const struct request *q, struct exchange *x, int64_t timeout_us);
/* The port anew, set up as o says. -errno: it is closed. */
int modbus_reopen(struct modbus *m, const struct line_opts *o);

/* drivers/modbus_plan.c: what is read in which blocks; anew once a device is known better. */
int modbus_plan(struct modbus *m);  /* at the start; 0 or -ENOMEM */
void modbus_keep(struct modbus *m); /* at the end: what was learned and not kept yet */
void modbus_tend(void *self);
/* What its answer took says how dear a request is. */
void modbus_measured(struct modbus *m, const struct block *b, const struct exchange *x);
/* A block was answered; or refused. True: it is read in parts from now on, its points need not be told bad yet. */
void modbus_answered(struct modbus *m, const struct block *b);
bool modbus_refused(struct modbus *m, const struct job *j);

/* One value of its first block: a read that cuts a value is refused by some. False: nothing of it is read. */
bool modbus_first_value(const struct modbus *m, size_t device, struct request *q);

/* drivers/modbus_errand.c */
uint8_t modbus_read_function(enum point_source source);
enum outcome modbus_write(void *self, struct errand *e, const char **reason);
enum outcome modbus_read(void *self, struct errand *e, const char **reason);

#endif
