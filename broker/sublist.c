/* SPDX-License-Identifier: MIT */
/* The index, where there are many: slots with a place + 1 in them, half as many again as there is room for references,
 * searched one after the other from where the hash says.
 */
#include "broker/sublist.h"

#include "broker/area.h"
#include "broker/core.h"
#include "broker/page.h"

#include <errno.h>
#include <string.h>

static size_t slots_of(uint32_t cap)
{
	return cap < SUBLIST_INDEXED ? 0 : (size_t)cap + cap / 2;
}

static size_t bytes_of(uint32_t cap)
{
	return cap == 0 ? 0 : sizeof(struct sublist) + (cap + slots_of(cap)) * sizeof(uint32_t);
}

static bool indexed(const struct session *s)
{
	return s->subs && slots_of(s->subs->cap) > 0;
}

static uint32_t *index_of(const struct session *s)
{
	return s->subs->refs + s->subs->cap;
}

/* --- the index ---------------------------------------------------------------------------------------------- */

/* The seed is the broker's, so that nobody chooses references that meet. */
static size_t home_of(const struct session *s, uint32_t ref)
{
	uint64_t mixed = (ref ^ s->broker->sessions.seed) * 0x9e3779b97f4a7c15u;

	mixed = (mixed ^ (mixed >> 29)) * 0xbf58476d1ce4e5b9u;
	return (size_t)(((mixed >> 32) * slots_of(s->subs->cap)) >> 32);
}

static size_t after(const struct session *s, size_t slot)
{
	return slot + 1 < slots_of(s->subs->cap) ? slot + 1 : 0;
}

/* The slot of this reference, or the empty one where it would be. */
static size_t slot_of(const struct session *s, uint32_t ref)
{
	const uint32_t *index = index_of(s);
	size_t slot = home_of(s, ref);

	while (index[slot] != 0 && s->subs->refs[index[slot] - 1] != ref)
		slot = after(s, slot);
	return slot;
}

static void index_all(struct session *s)
{
	memset(index_of(s), 0, slots_of(s->subs->cap) * sizeof(uint32_t));
	for (uint32_t at = 0; at < s->sub_count; at++)
		index_of(s)[slot_of(s, s->subs->refs[at])] = at + 1;
}

/* Whether what has its home at `home` and stands at `slot` may stand at `hole`, which is before it in the circle. */
static bool may_move(size_t home, size_t hole, size_t slot)
{
	return hole <= slot ? home <= hole || home > slot : home <= hole && home > slot;
}

/* What follows closes up, so that no search ends before what it looks for. */
static void empty_slot(struct session *s, size_t hole)
{
	uint32_t *index = index_of(s);

	for (size_t slot = after(s, hole); index[slot] != 0; slot = after(s, slot)) {
		if (!may_move(home_of(s, s->subs->refs[index[slot] - 1]), hole, slot))
			continue;
		index[hole] = index[slot];
		hole = slot;
	}
	index[hole] = 0;
}

/* --- the list ----------------------------------------------------------------------------------------------- */

static int grow(struct session *s)
{
	uint32_t old = s->subs ? s->subs->cap : 0, cap = old > 0 ? old + (old + 1) / 2 : 2;
	struct sublist *more;

	if (page_grow_subs(s, cap) < 0)
		return -ENOMEM;
	more = area_resize(s->subs, bytes_of(old), bytes_of(cap));
	if (!more)
		return -ENOMEM;
	more->steps = old > 0 ? more->steps : 0;
	more->cap = cap;
	s->subs = more;
	if (indexed(s))
		index_all(s);
	return 0;
}

int sublist_add(struct session *s, uint32_t ref)
{
	if ((!s->subs || s->sub_count == s->subs->cap) && grow(s) < 0)
		return -ENOMEM;
	if (page_kept(s))
		s->page->subs[s->sub_count] = 0;
	if (indexed(s))
		index_of(s)[slot_of(s, ref)] = s->sub_count + 1;
	s->subs->refs[s->sub_count++] = ref;
	return 0;
}

uint32_t sublist_find(const struct session *s, uint32_t ref)
{
	uint32_t at = 0;

	if (indexed(s)) {
		at = index_of(s)[slot_of(s, ref)];
		return at > 0 ? at - 1 : s->sub_count;
	}
	while (at < s->sub_count && s->subs->refs[at] != ref)
		at++;
	return at;
}

void sublist_drop(struct session *s, uint32_t ref)
{
	uint32_t at = sublist_find(s, ref), last = s->sub_count - 1;

	if (at == s->sub_count)
		return;
	if (indexed(s)) {
		empty_slot(s, slot_of(s, ref));
		if (at != last)
			index_of(s)[slot_of(s, s->subs->refs[last])] = at + 1;
	}
	s->subs->refs[at] = s->subs->refs[last];
	s->sub_count = last;
	page_sub_gone(s, at, last);
}

void sublist_pop(struct session *s)
{
	if (indexed(s))
		empty_slot(s, slot_of(s, s->subs->refs[s->sub_count - 1]));
	s->sub_count--;
	if (s->page && s->page->subs)
		durable_strike(s->broker, &s->page->subs[s->sub_count]);
}

void sublist_free(struct session *s)
{
	if (s->subs)
		area_free(s->subs, bytes_of(s->subs->cap));
}
