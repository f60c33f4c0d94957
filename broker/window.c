/* SPDX-License-Identifier: MIT */
#include "broker/window.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 8, ALL_IDS = 65536, KEEP_SLOTS = 512 };

static uint16_t id_after(uint16_t id)
{
	return id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
}

static struct mark *marks(struct delivery *slots, uint32_t cap)
{
	return (struct mark *)(slots + cap);
}

struct mark *window_mark(const struct window *w, const struct delivery *d)
{
	return &marks(w->slots, w->cap)[d - w->slots];
}

static int grow(struct window *w)
{
	uint32_t cap = w->cap > 0 ? w->cap * 2 : FIRST_SLOTS;
	struct delivery *slots = calloc(cap, sizeof(*slots) + (w->marked ? sizeof(struct mark) : 0));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->cap; i++) {
		uint32_t to = w->slots[i].id & (cap - 1);

		if (w->slots[i].state == DELIVERY_FREE)
			continue;
		slots[to] = w->slots[i];
		if (w->marked)
			marks(slots, cap)[to] = marks(w->slots, w->cap)[i];
	}
	free(w->slots);
	w->slots = slots;
	w->cap = cap;
	return 0;
}

/* Is this id later than all that are in use, counted from the oldest? */
static bool is_behind(const struct window *w, uint16_t id)
{
	uint16_t from = (uint16_t)(id - w->oldest), end = (uint16_t)(w->next - w->oldest);

	return w->used == 0 || (!w->around && end != 0 && from >= end); /* end 0: once around */
}

static struct delivery *take(struct window *w, uint16_t id)
{
	struct delivery *d = &w->slots[id & (w->cap - 1)];

	w->around |= !is_behind(w, id);
	*d = (struct delivery){.id = id, .state = DELIVERY_SENT};
	if (w->marked)
		*window_mark(w, d) = (struct mark){0};
	if (w->used++ == 0)
		w->oldest = id;
	w->next = id_after(id);
	return d;
}

struct delivery *window_put(struct window *w)
{
	uint16_t id = w->next > 0 ? w->next : 1;

	if (w->used == UINT16_MAX || (w->cap == 0 && grow(w) < 0))
		return NULL;
	while (w->slots[id & (w->cap - 1)].state != DELIVERY_FREE) {
		if (w->cap == ALL_IDS)
			id = id_after(id);
		else if (grow(w) < 0)
			return NULL;
	}
	return take(w, id);
}

struct delivery *window_put_as(struct window *w, uint16_t id)
{
	if (id == 0 || !is_behind(w, id) || w->used == UINT16_MAX || (w->cap == 0 && grow(w) < 0))
		return NULL;
	while (w->slots[id & (w->cap - 1)].state != DELIVERY_FREE)
		if (w->cap == ALL_IDS || grow(w) < 0)
			return NULL;
	return take(w, id);
}

struct delivery *window_find(const struct window *w, uint16_t id)
{
	struct delivery *d = w->cap > 0 ? &w->slots[id & (w->cap - 1)] : NULL;

	return d && d->state != DELIVERY_FREE && d->id == id ? d : NULL;
}

void window_drop(struct window *w, struct delivery *d)
{
	d->state = DELIVERY_FREE;
	d->msg = NULL;
	if (--w->used == 0) {
		w->around = 0;
		if (w->cap > KEEP_SLOTS) {
			free(w->slots);
			w->slots = NULL;
			w->cap = 0;
		}
		return;
	}
	while (!window_find(w, w->oldest))
		w->oldest = id_after(w->oldest);
}

struct delivery *window_next(const struct window *w, const struct delivery *after)
{
	uint16_t id = after ? after->id : 0, end = w->around ? w->oldest : w->next;
	struct delivery *d;

	if (w->used == 0)
		return NULL;
	if (!after) {
		d = window_find(w, w->oldest);
		if (d)
			return d;
		id = w->oldest;
	}
	while ((id = id_after(id)) != end) {
		d = window_find(w, id);
		if (d)
			return d;
	}
	return NULL;
}

struct delivery *window_from(const struct window *w, uint16_t id)
{
	struct delivery *d = window_find(w, id);
	struct delivery before = {.id = id};

	return d ? d : window_next(w, &before);
}

void window_fini(struct window *w)
{
	free(w->slots);
	*w = (struct window){.next = w->next, .marked = w->marked};
}

/* --- the set ------------------------------------------------------------------------------------------------ */

static uint16_t id_of(uint32_t slot)
{
	return (uint16_t)slot;
}

bool idset_has(const struct idset *s, uint16_t id)
{
	return id != 0 && s->cap > 0 && id_of(s->slots[id & (s->cap - 1)]) == id;
}

unsigned idset_flags(const struct idset *s, uint16_t id)
{
	return idset_has(s, id) ? s->slots[id & (s->cap - 1)] >> 16 : 0;
}

/* cap is a power of two from 8 on, so they are aligned. */
static uint64_t *numbers(uint32_t *slots, uint32_t cap)
{
	return (uint64_t *)(void *)(slots + cap);
}

uint64_t *idset_number(const struct idset *s, uint16_t id)
{
	return &numbers(s->slots, s->cap)[id & (s->cap - 1)];
}

static int grow_set(struct idset *s)
{
	uint32_t cap = s->cap > 0 ? s->cap * 2 : FIRST_SLOTS;
	uint32_t *slots = calloc(cap, sizeof(*slots) + (s->marked ? sizeof(uint64_t) : 0));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->cap; i++) {
		uint32_t to = id_of(s->slots[i]) & (cap - 1);

		if (s->slots[i] == 0)
			continue;
		slots[to] = s->slots[i];
		if (s->marked)
			numbers(slots, cap)[to] = numbers(s->slots, s->cap)[i];
	}
	free(s->slots);
	s->slots = slots;
	s->cap = cap;
	return 0;
}

int idset_reserve(struct idset *s, uint16_t id)
{
	while (!idset_has(s, id) && (s->cap == 0 || s->slots[id & (s->cap - 1)] != 0))
		if (grow_set(s) < 0)
			return -ENOMEM;
	return 0;
}

int idset_add(struct idset *s, uint16_t id, unsigned flags)
{
	if (idset_has(s, id)) {
		s->slots[id & (s->cap - 1)] |= flags << 16;
		return 0;
	}
	if (idset_reserve(s, id) < 0)
		return -ENOMEM;
	s->slots[id & (s->cap - 1)] = flags << 16 | id;
	if (s->marked)
		*idset_number(s, id) = 0;
	s->used++;
	return 0;
}

bool idset_drop(struct idset *s, uint16_t id)
{
	if (!idset_has(s, id))
		return false;
	s->slots[id & (s->cap - 1)] = 0;
	if (--s->used == 0 && s->cap > KEEP_SLOTS)
		idset_fini(s);
	return true;
}

void idset_fini(struct idset *s)
{
	free(s->slots);
	*s = (struct idset){.marked = s->marked};
}
