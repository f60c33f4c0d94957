/* SPDX-License-Identifier: MIT */
/* intake.h - main's end of the socket on which a bridge's process hands in the upstream's messages, one at a time.
 *
 * Owner     main thread.
 * Memory    one word of the wire.
 * One by one  the process waits for the answer before it says more, so at most one message is open. What is open when
 *           the process ends is forgotten: the next one asks or offers anew.
 * Late      an answer that comes later names the message by a token, since the process may have been replaced by then.
 */
#ifndef BRIDGE_INTAKE_H
#define BRIDGE_INTAKE_H

#include "bridge/wire.h"

/* The process does not read, or speaks nonsense. */
typedef void intake_wedged(struct bridge *b, const char *why);

struct intake {
	struct loop *loop;
	struct bridge *bridge;
	const struct bridge_events *events;
	intake_wedged *wedged;
	struct loop_watch watch;    /* of the descriptor, which is its own */
	uint32_t id, token, tokens; /* token: what it waits for the answer to; 0: nothing */
	bool asks;                  /* which is a question */
	bool shut;                  /* whatever comes is answered with NOT_NOW */
	struct wire wire;
};

void intake_init(struct intake *in, struct loop *loop, struct bridge *b, const struct bridge_events *events,
	intake_wedged *wedged);
int intake_open(struct intake *in, int fd); /* -errno: fd is closed */
void intake_close(struct intake *in);       /* of a process that ended; not open is fine */
/* The answer to a message that events->inbound put off; any other token is of one that nobody waits for. */
void intake_taken(struct intake *in, uint32_t token, bool taken);

#endif
