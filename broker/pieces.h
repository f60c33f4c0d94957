/* SPDX-License-Identifier: MIT */
/* pieces.h - packets that came in part: who has left how much lying, since when.
 *
 * Owner     broker thread.
 * Memory    an entry of 16 bytes for each, in one array that grows with the most there ever were: who goes when
 *           opts.input_memory is full is found in it without a look at each connection.
 * Refers to conn->in of those listed, which stay as they are until they are taken out.
 */
#ifndef BROKER_PIECES_H
#define BROKER_PIECES_H

#include <stddef.h>
#include <stdint.h>

struct conn;

struct piece {
	struct conn *conn;
	uint32_t bytes, since_ms; /* the clock's low bits */
};

struct pieces {
	struct piece *all;
	uint32_t count, room;
	uint64_t bytes; /* of all */
};

void pieces_fini(struct pieces *p);

int pieces_add(struct pieces *p, struct conn *c); /* c->in; 0, or -ENOMEM, never after a pieces_drop() */
void pieces_drop(struct pieces *p, struct conn *c);
/* Which is the largest for the longest time, of those that are not closed already; NULL: none. */
struct conn *pieces_heaviest(const struct pieces *p, uint32_t now_ms);

#endif
