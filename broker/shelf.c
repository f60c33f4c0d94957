/* SPDX-License-Identifier: MIT */
#include "broker/shelf.h"

#include "broker/area.h"
#include "broker/core.h"
#include "broker/entry.h"

#include <errno.h>
#include <string.h>

/* LATE: in the number of an entry that what is there now has replaced. A tick writes so many. */
#define LATE ((uint64_t)1 << 63)
enum { PER_TICK = 20000, SPARE_LATE = 1024 };

bool shelf_is_late(const struct broker *b, const struct msg *m)
{
	return b->opts.retained_interval_ms > 0 && (m->origin == MSG_FROM_LINE || m->origin == MSG_FROM_GATEWAY);
}

static int grow(struct shelf *h, uint32_t place)
{
	uint32_t cap = h->cap > 0 ? h->cap : 64;
	uint64_t *more;

	if (place < h->cap)
		return 0;
	while (cap <= place)
		cap += cap / 2;
	more = area_resize(h->entries, h->cap * sizeof(*more), cap * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + h->cap, 0, (cap - h->cap) * sizeof(*more));
	h->entries = more;
	h->cap = cap;
	return 0;
}

static void put(struct broker *b, uint32_t place, const struct msg *m)
{
	struct shelf *h = &b->durable.shelf;
	uint64_t before = h->entries[place] & ~LATE, number;
	struct entry e = {.kind = ENTRY_RETAINED};

	entry_of_msg(&e, m, b->durable.steady_ms);
	number = durable_put(b, &e);
	h->entries[place] = number != 0 ? number : before; /* failed and counted: what was there stays */
	if (number != 0)
		durable_strike(b, &before);
}

static bool note_late(struct broker *b, uint32_t place)
{
	struct shelf *h = &b->durable.shelf;

	if (h->entries[place] & LATE)
		return true;
	if (h->late_count == h->late_cap) {
		uint32_t cap = h->late_cap + SPARE_LATE;
		uint32_t *more = h->late_cap > b->retain.used + SPARE_LATE
					 ? NULL
					 : /* the same places again and again: write them */
					 area_resize(h->late, h->late_cap * sizeof(*more), cap * sizeof(*more));

		if (!more)
			return false;
		h->late = more;
		h->late_cap = cap;
	}
	if (h->late_count == 0)
		h->due_ms = broker_now_ms(b) + b->opts.retained_interval_ms;
	h->late[h->late_count++] = place;
	h->entries[place] |= LATE;
	return true;
}

void shelf_changed(void *broker, uint32_t place, struct msg *m, bool late)
{
	struct broker *b = broker;
	struct shelf *h = &b->durable.shelf;
	uint64_t number;

	if (!durable_open(b) || grow(h, place) < 0)
		return;
	if (!m) {
		number = h->entries[place] & ~LATE;
		h->entries[place] = 0;
		durable_strike(b, &number);
	} else if (m->topic_len < 5 || memcmp(msg_topic(m), "$SYS/", 5) != 0) {
		if (!late || !note_late(b, place))
			put(b, place, m);
	}
}

int shelf_restore(struct broker *b, uint32_t place, uint64_t number)
{
	int r = grow(&b->durable.shelf, place);

	if (r == 0)
		b->durable.shelf.entries[place] = number;
	return r;
}

uint64_t shelf_entry(const struct broker *b, uint32_t place)
{
	const struct shelf *h = &b->durable.shelf;

	return place < h->cap && !(h->entries[place] & LATE) ? h->entries[place] : 0;
}

static void write(struct broker *b, uint32_t most)
{
	struct shelf *h = &b->durable.shelf;
	uint32_t n = h->late_count < most ? h->late_count : most;

	for (uint32_t i = 0; i < n; i++)
		if (h->entries[h->late[i]] & LATE)
			put(b, h->late[i], retain_at(&b->retain, h->late[i]));
	if (n > 0)
		memmove(h->late, h->late + n, (h->late_count - n) * sizeof(*h->late));
	h->late_count -= n;
}

void shelf_tick(struct broker *b)
{
	struct shelf *h = &b->durable.shelf;

	if (h->late_count > 0 && broker_now_ms(b) >= h->due_ms && durable_room(b) == 0)
		write(b, PER_TICK);
}

void shelf_write_all(struct broker *b)
{
	write(b, UINT32_MAX);
}

void shelf_fini(struct broker *b)
{
	struct shelf *h = &b->durable.shelf;

	area_free(h->entries, h->cap * sizeof(*h->entries));
	area_free(h->late, h->late_cap * sizeof(*h->late));
	*h = (struct shelf){0};
}
