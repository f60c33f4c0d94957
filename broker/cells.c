/* SPDX-License-Identifier: MIT */
#include "broker/cells.h"

#include "broker/area.h"

#include <string.h>

void cells_fini(struct cells *c)
{
	area_free(c->mem, (size_t)c->cap * sizeof(*c->mem));
	*c = (struct cells){0};
}

static unsigned size_class(size_t count)
{
	unsigned k = 0;

	while (((size_t)1 << k) < count)
		k++;
	return k;
}

static int grow(struct cells *c, size_t need)
{
	size_t cap = c->cap > 0 ? c->cap : 64;
	uint64_t *mem;

	while (cap < need)
		cap += cap < (1 << 20) ? cap : cap / 4;
	if (cap > UINT32_MAX)
		return -1;
	mem = area_resize(c->mem, (size_t)c->cap * sizeof(*mem), cap * sizeof(*mem));
	if (!mem)
		return -1;
	c->mem = mem;
	c->cap = (uint32_t)cap;
	return 0;
}

uint32_t cells_alloc(struct cells *c, size_t count)
{
	unsigned k = size_class(count);
	uint32_t at;

	if (k >= CELLS_SIZES)
		return 0;
	at = c->spare[k];
	if (at != 0) {
		c->spare[k] = (uint32_t)c->mem[at];
		return at;
	}
	if (c->used == 0)
		c->used = 1; /* 0 stands for none */
	if (c->cap < c->used + ((size_t)1 << k) && grow(c, (size_t)c->used + ((size_t)1 << k)) < 0)
		return 0;
	at = c->used;
	c->used += 1u << k;
	return at;
}

void cells_free(struct cells *c, uint32_t at, size_t count)
{
	unsigned k = size_class(count);

	if (at == 0)
		return;
	c->mem[at] = c->spare[k];
	c->spare[k] = at;
}

uint32_t cells_resize(struct cells *c, uint32_t at, size_t from, size_t to)
{
	uint32_t moved;

	if (at != 0 && size_class(from) == size_class(to))
		return at;
	moved = cells_alloc(c, to);
	if (moved == 0)
		return 0;
	if (at != 0) {
		memcpy(c->mem + moved, c->mem + at, (from < to ? from : to) * sizeof(*c->mem));
		cells_free(c, at, from);
	}
	return moved;
}
