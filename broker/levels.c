/* SPDX-License-Identifier: MIT */
/* Open addressing with linear probing; an entry that goes is closed up by moving later ones back, so there are no
 * tombstones and the table never needs cleaning. */
#include "broker/levels.h"

#include "broker/area.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

__extension__ typedef unsigned __int128 wide;

static uint64_t fold(uint64_t a, uint64_t b)
{
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight bytes at a time, each step a multiplication whose halves are folded: fast on short keys, and without the seed
 * nobody can tell which two collide. */
uint32_t levels_hash(uint64_t seed, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t h = seed ^ len, v;

	for (; len > 8; p += 8, len -= 8) {
		memcpy(&v, p, 8);
		h = fold(h ^ 0xa0761d6478bd642fu, v ^ seed);
	}
	v = 0;
	if (len >= 4) {
		uint32_t a, b;

		memcpy(&a, p, 4);
		memcpy(&b, p + len - 4, 4);
		v = (uint64_t)a << 32 | b;
	} else if (len > 0) {
		v = (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1];
	}
	h = fold(h ^ 0xe7037ed1a0b428dbu, v ^ seed);
	return (uint32_t)(h ^ h >> 32);
}

static const char *text_of(const struct levels *l, const struct level *e)
{
	return cells_at(&l->cells, e->text);
}

static bool same(const struct levels *l, const struct level *e, uint32_t hash, const char *text, size_t len)
{
	return e->hash == hash && e->len == len && memcmp(text_of(l, e), text, len) == 0;
}

/* The slot of the text, or the free one where it would go. */
static uint32_t slot_of(const struct levels *l, uint32_t hash, const char *text, size_t len)
{
	uint32_t mask = l->slot_count - 1, i = hash & mask;

	while (l->slots[i] != 0 && !same(l, &l->all[l->slots[i]], hash, text, len))
		i = (i + 1) & mask;
	return i;
}

static int grow_slots(struct levels *l)
{
	uint32_t count = l->slot_count > 0 ? l->slot_count * 2 : FIRST_SLOTS;
	uint32_t *slots = area_new(count * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->slot_count; i++) {
		uint32_t id = l->slots[i], at;

		if (id == 0)
			continue;
		at = l->all[id].hash & (count - 1);
		while (slots[at] != 0)
			at = (at + 1) & (count - 1);
		slots[at] = id;
	}
	area_free(l->slots, l->slot_count * sizeof(*slots));
	l->slots = slots;
	l->slot_count = count;
	return 0;
}

static uint32_t new_entry(struct levels *l)
{
	uint32_t id = l->spare;

	if (id != 0) {
		l->spare = l->all[id].text;
		return id;
	}
	if (l->count == l->cap) {
		uint32_t cap = l->cap > 0 ? l->cap + l->cap / 2 : FIRST_SLOTS;
		struct level *all = area_resize(l->all, l->cap * sizeof(*all), cap * sizeof(*all));

		if (!all)
			return 0;
		l->all = all;
		l->cap = cap;
	}
	if (l->count == 0)
		l->count = 1; /* LEVEL_NONE */
	return l->count++;
}

int levels_init(struct levels *l, uint64_t seed)
{
	*l = (struct levels){.seed = seed};
	if (grow_slots(l) < 0 || levels_keep(l, "+", 1) != LEVEL_PLUS || levels_keep(l, "#", 1) != LEVEL_HASH) {
		levels_fini(l);
		return -ENOMEM;
	}
	return 0;
}

void levels_fini(struct levels *l)
{
	area_free(l->all, l->cap * sizeof(*l->all));
	area_free(l->slots, l->slot_count * sizeof(*l->slots));
	cells_fini(&l->cells);
	*l = (struct levels){0};
}

uint32_t levels_find(const struct levels *l, const char *text, size_t len)
{
	return l->slots[slot_of(l, levels_hash(l->seed, text, len), text, len)];
}

static size_t cells_for(size_t len)
{
	return len > 0 ? (len + 7) / 8 : 1;
}

uint32_t levels_keep(struct levels *l, const char *text, size_t len)
{
	uint32_t hash = levels_hash(l->seed, text, len), at = slot_of(l, hash, text, len), id = l->slots[at], cell;

	if (id != 0) {
		l->all[id].refs++;
		return id;
	}
	if ((l->live + 1) * 4 > l->slot_count * 3) {
		if (grow_slots(l) < 0)
			return LEVEL_NONE;
		at = slot_of(l, hash, text, len);
	}
	cell = cells_alloc(&l->cells, cells_for(len));
	id = cell != 0 ? new_entry(l) : 0;
	if (id == 0) {
		cells_free(&l->cells, cell, cells_for(len));
		return LEVEL_NONE;
	}
	memcpy(cells_at(&l->cells, cell), text, len);
	l->all[id] = (struct level){.text = cell, .refs = 1, .hash = hash, .len = (uint16_t)len};
	l->slots[at] = id;
	l->live++;
	return id;
}

static void close_gap(struct levels *l, uint32_t gap)
{
	uint32_t mask = l->slot_count - 1;

	for (uint32_t i = (gap + 1) & mask; l->slots[i] != 0; i = (i + 1) & mask) {
		uint32_t home = l->all[l->slots[i]].hash & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue; /* it may not move before its home */
		l->slots[gap] = l->slots[i];
		gap = i;
	}
	l->slots[gap] = 0;
}

void levels_drop(struct levels *l, uint32_t id)
{
	struct level *e = &l->all[id];

	if (id == LEVEL_NONE || --e->refs > 0)
		return;
	close_gap(l, slot_of(l, e->hash, text_of(l, e), e->len));
	cells_free(&l->cells, e->text, cells_for(e->len));
	e->text = l->spare;
	l->spare = id;
	l->live--;
}

const char *levels_text(const struct levels *l, uint32_t id, size_t *len)
{
	*len = l->all[id].len;
	return text_of(l, &l->all[id]);
}

size_t levels_split(const struct levels *l, const char *topic, size_t len, uint32_t out[TOPIC_MAX_LEVELS])
{
	const char *end = topic + len;
	size_t n = 0;

	for (;;) {
		const char *slash = memchr(topic, '/', (size_t)(end - topic));
		const char *stop = slash ? slash : end;

		out[n++] = levels_find(l, topic, (size_t)(stop - topic));
		if (!slash || n == TOPIC_MAX_LEVELS)
			return n;
		topic = slash + 1;
	}
}
