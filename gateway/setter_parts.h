/* SPDX-License-Identifier: MIT */
/* setter_parts.h - what a setter is made of, for the files that are parts of it: setter.c (commands as they come),
 * setter_line.c (to their lines, and back), setter_end.c (what came of them, told and settled). Nobody else includes it.
 *
 * A command lives in a slot. The line's thread marks it done, the broker's frees it when it is settled; their letters
 * only wake main, which looks through all slots, so a full mailbox loses none.
 *
 *	FREE ─▶ WAITING ─▶ ON_LINE ─▶ DONE ─▶ ENDED ─▶ TELLING ─▶ SETTLING ─▶ FREE
 *	           └── refused, expired, stopped ──▲       └─ nothing is kept of it ─▲
 */
#ifndef GATEWAY_SETTER_PARTS_H
#define GATEWAY_SETTER_PARTS_H

#include "drivers/errand.h"
#include "drivers/opts.h"
#include "gateway/command.h"
#include "gateway/permit.h"
#include "gateway/setter.h"

#include <stdatomic.h>

enum { SETTER_BY = 64, SETTER_TOPIC = 512 };

/* What the broker hands to main. */
struct order {
	struct msg *msg; /* NULL: all that a start found has been given */
	uint64_t number;
	bool found, of_other_boot;
	char by[SETTER_BY];
};

enum state {
	FREE,     /* main's */
	WAITING,  /* for its line */
	ON_LINE,  /* the errand is the line's */
	DONE,     /* it is main's again */
	ENDED,    /* to be told */
	TELLING,  /* told, and not safe yet */
	SETTLING, /* the broker's */
};

struct slot {
	struct errand errand; /* first: done() gets its address */
	struct setter *setter;
	_Atomic enum state state;
	struct order order;
	struct line *line;  /* while it waits or is on it */
	uint64_t turn;      /* the order of those that wait */
	bool doubt;         /* an earlier process may have written it */
	bool quiet;         /* it is nobody's: not told */
	struct msg *before; /* what the point held; NULL: nothing yet */
	enum ending ending;
	const char *reason;
	struct outbox_mark mark;
	struct broker_settlement settlement;
	char text[COMMAND_TEXT_MAX], room[PERMIT_REASON];
};

/* How many commands a line has now. */
struct load {
	struct line *line;
	size_t count;
};

/* Owner: main; give(), settled(), and what an errand calls, come from other threads. */
struct setter {
	struct mailbox *inbox;
	uint32_t letter_command, letter_written;
	const struct clock *clock;
	struct field *field;
	struct outbox *outbox;
	struct broker *broker;
	struct begun *begun;
	int64_t expiry_ms;
	char site[SETTER_TOPIC]; /* as at the start; a reload does not change it */
	bool stopping;
	uint64_t turns;
	struct load loads[SETTER_MAX]; /* those that are not 0 */
	size_t load_count;
	atomic_int orders[2]; /* in the mailbox or in a slot: of clients, of upstreams */
	struct slot slots[SETTER_MAX];
};

static inline size_t place_of(const struct slot *slot)
{
	return (size_t)(slot - slot->setter->slots);
}

static inline bool is_from_upstream(const struct order *o)
{
	return o->msg && o->msg->origin == MSG_FROM_BRIDGE;
}

void setter_slot_free(struct slot *slot); /* any thread */

/* setter_line.c */
bool setter_find(struct setter *s, const struct order *o, struct field_target *out);
int64_t setter_expires_us(const struct setter *s, const struct msg *m);
void setter_wait(struct setter *s, struct slot *slot, const struct field_target *t, const struct value *v);
void setter_feed_lines(struct setter *s);                   /* whoever can go now */
void setter_unload(struct setter *s, const struct line *l); /* it has one less */

/* setter_end.c */
void setter_end(struct slot *slot, enum ending ending, const char *reason);
bool setter_go_on(struct setter *s, struct slot *slot); /* one step nearer to FREE; true: come back by yourself */

#endif
