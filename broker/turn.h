/* SPDX-License-Identifier: MIT */
/* turn.h - fair service: what one turn of the loop does, and what waits for the next.
 *
 * Owner     broker thread.
 * Aim       nobody waits for long behind those who want much. A turn is a few slices of some tenths of a millisecond;
 *           between two of them every socket that has become ready is looked at. A slice whose time is up goes on while
 *           none has, TURN_LONGEST_US at most: where only those are who want much, they cost each other nothing.
 * Polite    who sends little at a time is served as it comes, and its receivers' outputs are written in the same turn.
 * Greedy    who has more than a quantum waits in one queue with others of the kind, until what it sends next is little:
 *           it is read when its turn comes, and its socket watched only when it had nothing. They have slices of their
 *           own: publishing, for several turns, fills the outputs of their receivers; when some are full, or much was
 *           delivered, these are written out, again a slice a turn. So packets for one receiver still share a write,
 *           however short a slice is.
 * Newcomers those without CONNECT yet share a slice of each turn, and wait in a queue for it. Accepting has another. What
 *           costs most of a hand-shake of TLS is not done here (shakes.h).
 * Leavers   share one as well: their sockets are closed, their wills sent and what they had is cleared (leave.h) as far
 *           as it goes. Deliveries see at once that they are gone.
 * Wide      what goes to many costs a write for each of them. These outputs wait in a queue and have a slice of each
 *           turn, too: one message may name thousands, and the wills of a crowd that leaves, many times as many.
 * Replays   of retained messages to new subscribers have a slice as well (replay.h).
 * Rotation  the slices of a turn begin with another of these kinds each time, and end when a socket has become ready
 *           after the first of them took its time. So a turn is about as long as one of them, however many kinds want
 *           theirs.
 */
#ifndef BROKER_TURN_H
#define BROKER_TURN_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct conn;

enum {
	TURN_SLICE_US = 40,
	TURN_SHARE_US = 20, /* of those below who have one in each turn */
	TURN_SPARE_US = 40, /* after which those who are left wait for the next turn, if a socket has become ready */
	TURN_LONGEST_US = 5000,
	TURN_FLUSHES = 8,        /* outputs that are written within a slice of the filling, being full */
	TURN_WIDE = 16,          /* receivers of a message, above which their outputs are not written at once */
	TURN_STEPS = 2,          /* places of a tree looked at */
	TURN_CHEAP = 4,          /* packets that cost as much as one delivery */
	TURN_QUANTUM = 256,      /* deliveries, after which a connection is greedy; half as many */
	TURN_QUANTUM_LEAST = 4,  /* with each slice that went to polite ones already */
	TURN_LARGE = 16384,      /* bytes read at once, or of a packet that came in part: it is greedy, too */
	TURN_BYTES = 512,        /* read cost as much as one delivery */
	TURN_SMALL = 4096,       /* less, */
	TURN_PATIENCE = 15,      /* and that so many times, and it is polite again */
	TURN_FILL_WORK = 262144, /* deliveries before the outputs are written; */
	TURN_FILL_SLICES = 100,  /* or so many slices */
};

struct turn_queue {
	struct conn *in, *out; /* two stacks: out is in order, in is turned over when out is empty */
};

/* Connections to be flushed, closed or freed: in this turn, a slice of them, or after the filling; and those that are
 * gone, for whom no time was left. */
enum turn_list { TURN_NOW, TURN_WIDE_ONES, TURN_LATE, TURN_GONE, TURN_LISTS };

enum turn_share { TURN_ACCEPTS, TURN_NEWCOMERS, TURN_LEAVERS, TURN_SHARES };

struct turn {
	struct loop_task end;
	struct loop_timer next;
	struct {
		struct conn *first, **last;
	} lists[TURN_LISTS];
	struct turn_queue greedy, newcomers;
	uint32_t work;    /* deliveries of this slice, and what takes about as long: places looked
					       * at for the receivers of a topic, filters, retained messages found */
	uint32_t packets; /* of this slice, whatever they ask for */
	uint32_t looked;  /* work when the clock was looked at last */
	uint32_t began;   /* work when the connection that is served now was read */
	int64_t until_us, shares_until_us[TURN_SHARES]; /* 0: not looked at the clock yet */
	int64_t longest_us;                             /* the end of this slice, even if nobody waits */
	uint32_t first;                                 /* whose slice comes first in the next turn */
	uint32_t quantum, filled, slices, flushes;
	bool over, filling, full, draining;
	bool wide;     /* what is delivered now has many receivers */
	bool clearing; /* it comes of those who leave: their wills, and what they did not acknowledge for a share */
};

void turn_start(struct broker *b);

void turn_serves(struct broker *b);       /* a connection is about to be read */
size_t turn_bytes(struct conn *c);        /* so much of it may be read */
void turn_read(struct conn *c, size_t n); /* it sent so much */
/* Is c to wait with this packet? true: it is held, and goes on by itself. */
bool turn_holds(struct conn *c);
/* Is there time for these? The first of each turn always has it. */
bool turn_has_time(struct broker *b, enum turn_share share);
struct conn *turn_pop(struct turn_queue *q); /* the first, taken out; NULL: it is empty */
void turn_again(struct broker *b);           /* something is left for the next turn, which so does not sleep */
bool turn_has_gone(const struct broker *b);  /* do some wait to be closed */
bool turn_waits(struct conn *c);             /* a newcomer, or greedy: true: it is not read, until its turn has come */
bool turn_is_full(struct turn *t);           /* an output is full: true: let it be, it is written out later */

void turn_dirty(struct conn *c);  /* c is to be flushed, freed, or watched for something else */
void turn_later(struct conn *c);  /* c is to be flushed, in a slice with others */
void turn_forget(struct conn *c); /* it is about to be freed */

#endif
