/* SPDX-License-Identifier: MIT */
/* audit.h - the event of a write: who asked for what, what was there before, and what came of it. */
#ifndef GATEWAY_AUDIT_H
#define GATEWAY_AUDIT_H

#include "base/clock.h"
#include "base/cursor.h"
#include "base/msg.h"

struct audit {
	const char *topic;  /* of the point, or of the command to it */
	const char *by;     /* a client, or "weir write (uid 0)" */
	const char *what;   /* a register that is in no map: "holding 40 as int16"; NULL: the point of the topic */
	struct span asked;  /* as it came */
	struct span before; /* what the point held; at NULL: nothing yet */
	bool ok;
	const char *outcome; /* a word for it; NULL: none */
	const char *reason;  /* NULL: all is well */
};

/* {site}/weir/event. NULL: no memory, or longer than any event may be. It is logged too. */
struct msg *audit_event(const char *site, const struct audit *a, const struct clock *clock);

#endif
