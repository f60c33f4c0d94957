/* SPDX-License-Identifier: MIT */
#include "broker/pieces.h"

#include "broker/conn.h"

#include <errno.h>
#include <stdlib.h>

enum { ROOM = 64 };

void pieces_fini(struct pieces *p)
{
	free(p->all);
	*p = (struct pieces){0};
}

static int make_room(struct pieces *p)
{
	uint32_t room = p->room > 0 ? 2 * p->room : ROOM;
	struct piece *all = p->count == p->room ? reallocarray(p->all, room, sizeof(*all)) : p->all;

	if (!all)
		return -ENOMEM;
	p->room = p->count == p->room ? room : p->room;
	p->all = all;
	return 0;
}

/* Of a large one only what was read into is there, but for what the stock had (STOCK_LARGE). */
static uint32_t weight(const struct chunk *in)
{
	return in->class == STOCK_CLASSES ? in->len : in->cap;
}

int pieces_add(struct pieces *p, struct conn *c)
{
	if (make_room(p) < 0)
		return -ENOMEM;
	c->in->place = p->count;
	p->all[p->count++] = (struct piece){c, weight(c->in), c->in->sent};
	p->bytes += weight(c->in);
	return 0;
}

/* The last one takes its place. */
void pieces_drop(struct pieces *p, struct conn *c)
{
	struct piece *last = &p->all[--p->count];
	uint32_t place = c->in->place;

	p->bytes -= p->all[place].bytes;
	last->conn->in->place = place;
	p->all[place] = *last;
}

/* What a piece costs: room, and for how long it is kept from others. */
static uint64_t burden(const struct piece *one, uint32_t now_ms)
{
	return (uint64_t)one->bytes * ((uint64_t)(now_ms - one->since_ms) + 1);
}

struct conn *pieces_heaviest(const struct pieces *p, uint32_t now_ms)
{
	struct conn *most = NULL;
	uint64_t weight = 0;

	for (uint32_t i = 0; i < p->count; i++) {
		uint64_t w = burden(&p->all[i], now_ms);

		if (w <= weight || p->all[i].conn->doomed)
			continue;
		weight = w;
		most = p->all[i].conn;
	}
	return most;
}
