/* SPDX-License-Identifier: MIT */
/* replay.h - what is retained goes to new subscriptions, a piece at a time.
 *
 * Owner     broker thread.
 * When      at once where it is little (REPLAY_AT_ONCE places of the tree looked at). The rest waits in a queue and has a
 *           slice of each turn (turn.h), in which they take turns.
 * Order     a client for whom some is on its way waits with its next SUBSCRIBE and UNSUBSCRIBE (replay_holds). A SUBACK
 *           that waited for a commit may come to it meanwhile: what follows that goes behind.
 * Bounds    the filters of one packet have as many places looked at as four times what is retained, and some; past that
 *           they get nothing, which is counted. Copies of filters that wait: opts.input_memory in all; who asks for
 *           more is closed with 0x97.
 */
#ifndef BROKER_REPLAY_H
#define BROKER_REPLAY_H

#include "base/cursor.h"

#include <stdbool.h>

struct broker;
struct conn;
struct replay;

enum { REPLAY_AT_ONCE = 64, REPLAY_HEAD = 2 * sizeof(uint32_t) }; /* REPLAY_HEAD: replay_put() of no text */

struct replays {
	struct replay *first, **last;
	uint64_t bytes; /* of filters */
};

void replay_start(struct broker *b);
/* One filter of those wanted: struct sub's opts, its length, its text; how long that is. */
size_t replay_put(uint8_t *out, uint32_t opts, struct span filter);
int replay_begin(struct conn *c, uint8_t *wanted, size_t len); /* copied; 0 or the reason to close the connection */
bool replay_holds(struct conn *c);                             /* it is held until what is on its way has gone */
void replay_forget(struct conn *c);
bool replay_waits(const struct broker *b);
void replay_serve(struct broker *b, bool (*time_is_up)(struct broker *b)); /* a slice */

#endif
