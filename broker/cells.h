/* SPDX-License-Identifier: MIT */
/* cells.h - small arrays reached by 32-bit numbers instead of pointers.
 *
 * Owner     broker thread.
 * Memory    one growing block of 8-byte cells; freed arrays are kept by size (powers of two) and used again. A
 *           million arrays of one element cost a million cells, where malloc would take four times that.
 * Lifetime  cells_at() is valid until the next cells_alloc().
 */
#ifndef BROKER_CELLS_H
#define BROKER_CELLS_H

#include <stddef.h>
#include <stdint.h>

enum { CELLS_SIZES = 32 };

struct cells {
	uint64_t *mem;
	uint32_t used, cap;
	uint32_t spare[CELLS_SIZES];
};

void cells_fini(struct cells *c);
uint32_t cells_alloc(struct cells *c, size_t count);         /* 0: no memory */
void cells_free(struct cells *c, uint32_t at, size_t count); /* the count it was allocated with; at 0 is fine */

static inline void *cells_at(const struct cells *c, uint32_t at)
{
	return c->mem + at;
}

/* How many cells an array of count cells really has. */
static inline size_t cells_room(size_t count)
{
	size_t room = 1;

	while (room < count)
		room *= 2;
	return room;
}

/* Moves an array of `from` cells in use to room for `to`; 0: no memory, the old one stays. */
uint32_t cells_resize(struct cells *c, uint32_t at, size_t from, size_t to);

#endif
