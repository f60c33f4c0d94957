/* SPDX-License-Identifier: MIT */
/* Two places per hash: a topic goes to the free one, else it replaces the second; a hit in the second moves it to
 * the first. The table doubles while replacements are frequent. */
#include "broker/route.h"

#include "broker/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 2 };

int routes_init(struct routes *r)
{
	*r = (struct routes){.slot_count = ROUTES_FIRST};
	r->slots = calloc(r->slot_count, sizeof(struct route *));
	r->asked = calloc(ROUTES_ASKED, sizeof(*r->asked));
	return r->slots && r->asked ? 0 : -ENOMEM;
}

void routes_fini(struct routes *r)
{
	for (uint32_t i = 0; i < r->slot_count && r->slots; i++)
		free(r->slots[i]);
	free(r->slots);
	free(r->asked);
	free(r->targets);
	free(r->ids);
	free(r->groups);
	free(r->taps);
	*r = (struct routes){0};
}

/* --- building ----------------------------------------------------------------------------------------------- */

struct build {
	struct broker *b;
	const char *topic;
	size_t len;
	struct routes *r;
	uint32_t target_count, id_count, group_count, tap_count;
	bool failed;
};

static bool room(void **array, uint32_t *cap, uint32_t need, size_t size)
{
	uint32_t want = *cap > 0 ? *cap * 2 : 16;
	void *more;

	if (need <= *cap)
		return true;
	while (want < need)
		want *= 2;
	more = realloc(*array, want * size);
	if (!more)
		return false;
	*array = more;
	*cap = want;
	return true;
}

static bool add_number(uint32_t **list, uint32_t *cap, uint32_t *count, uint32_t value)
{
	if (!room((void **)list, cap, *count + 1, sizeof(**list)))
		return false;
	(*list)[(*count)++] = value;
	return true;
}

/* A list has room for the next power of two of identifiers, four at least, and moves to the end with twice the room when
 * that is full: a client whose subscriptions overlap a hundred thousand times makes it no longer than four times what it
 * holds. */
static bool grow_ids(struct build *u, struct target *t, uint32_t count)
{
	enum { LEAST = 4 };
	struct routes *r = u->r;
	uint32_t at = u->id_count, places = count < LEAST ? LEAST : 2 * count;

	if (!room((void **)&r->ids, &r->id_cap, at + 1 + places, sizeof(*r->ids)))
		return false;
	memset(r->ids + at, 0, (1 + (size_t)places) * sizeof(*r->ids));
	if (t->flags & TARGET_IDS)
		memcpy(r->ids + at, r->ids + t->ids, (1 + (size_t)count) * sizeof(*r->ids));
	else
		r->ids[at + 1] = t->ids;
	u->id_count += 1 + places;
	t->ids = at;
	t->flags |= TARGET_IDS;
	return true;
}

static bool add_id(struct build *u, struct target *t, uint32_t id)
{
	struct routes *r = u->r;
	uint32_t n;
	bool full;

	if (id == 0)
		return true;
	if (t->ids == 0 && !(t->flags & TARGET_IDS)) {
		t->ids = id;
		return true;
	}
	n = t->flags & TARGET_IDS ? r->ids[t->ids] : 1;
	full = n == 1 || (n >= 4 && (n & (n - 1)) == 0);
	if (full && !grow_ids(u, t, n))
		return false;
	r->ids[t->ids] = n + 1;
	r->ids[t->ids + 1 + n] = id;
	return true;
}

static bool add_target(struct build *u, const struct sub *sub)
{
	struct session *s = sessions_at(&u->b->sessions, sub->who);
	uint8_t qos = sub->opts & SUB_QOS;
	bool no_local = sub->opts & SUB_NO_LOCAL;
	struct target *t;

	if (s->broker->acl && !rights_read_slow(s, u->topic, u->len))
		return true;
	if (s->route_mark != u->r->mark) {
		if (!room((void **)&u->r->targets, &u->r->target_cap, u->target_count + 1, sizeof(*u->r->targets)))
			return false;
		s->route_mark = u->r->mark;
		s->route_at = u->target_count++;
		u->r->targets[s->route_at] = (struct target){.session = s,
			.qos = qos,
			.flags = (uint8_t)((sub->opts & SUB_RAP ? TARGET_RAP : 0) | (no_local ? TARGET_NO_LOCAL : 0))};
		return add_id(u, &u->r->targets[s->route_at], sub->opts >> SUB_ID_SHIFT);
	}
	t = &u->r->targets[s->route_at];
	if (no_local != !!(t->flags & TARGET_NO_LOCAL))
		t->flags = (uint8_t)((t->flags & ~TARGET_NO_LOCAL) | TARGET_SOME_LOCAL);
	t->qos = qos > t->qos ? qos : t->qos;
	t->flags |= sub->opts & SUB_RAP ? TARGET_RAP : 0;
	return add_id(u, t, sub->opts >> SUB_ID_SHIFT);
}

static void collect(void *ctx, uint32_t node, const struct sub *sub)
{
	struct build *u = ctx;
	bool ok;

	(void)node;
	if (sub->who & (uint32_t)SUB_TAP)
		ok = add_number(&u->r->taps, &u->r->tap_cap, &u->tap_count, sub->who & SUB_INDEX);
	else if (sub->who & SUB_GROUP)
		ok = add_number(&u->r->groups, &u->r->group_cap, &u->group_count, sub->who & SUB_INDEX);
	else
		ok = add_target(u, sub);
	u->failed |= !ok;
}

/* The route in the arrays it was built in: valid until the next is built. */
static struct route *build(struct broker *b, const char *topic, size_t len, uint32_t hash)
{
	struct routes *r = &b->routes;
	struct build u = {.b = b, .topic = topic, .len = len, .r = r};

	if (++r->mark == 0) { /* once in four thousand million: no session may bear it from the last time round */
		sessions_clear_marks(&b->sessions);
		r->mark = 1;
	}
	r->built++;
	b->turn.work += subs_match(&b->subs, topic, len, collect, &u) / TURN_STEPS;
	if (u.failed)
		return NULL;
	r->passing = (struct route){.serial = r->built,
		.bucket = subs_bucket(topic, len),
		.hash = hash,
		.target_count = u.target_count,
		.group_count = u.group_count,
		.tap_count = u.tap_count,
		.id_count = u.id_count,
		.topic_len = (uint16_t)len,
		.selected = b->persist.ops && b->persist.ops->selects(b->persist.ctx, topic, len),
		.targets = r->targets,
		.groups = r->groups,
		.taps = r->taps,
		.ids = r->ids};
	r->passing.generation = subs_generation(&b->subs, r->passing.bucket);
	return &r->passing;
}

static void *copy(char **at, const void *from, size_t size)
{
	void *to = *at;

	if (size > 0)
		memcpy(to, from, size);
	*at += size;
	return to;
}

static struct route *duplicate(const struct route *from, const char *topic)
{
	size_t numbers = (size_t)from->id_count + from->group_count + from->tap_count;
	size_t size = sizeof(*from) + from->target_count * sizeof(struct target) + numbers * sizeof(uint32_t) +
		      from->topic_len;
	struct route *to = size <= UINT32_MAX ? malloc(size) : NULL;
	char *at;

	if (!to)
		return NULL;
	at = (char *)(to + 1);
	*to = *from;
	to->bytes = (uint32_t)size;
	to->targets = copy(&at, from->targets, from->target_count * sizeof(struct target));
	to->ids = copy(&at, from->ids, from->id_count * sizeof(uint32_t));
	to->groups = copy(&at, from->groups, from->group_count * sizeof(uint32_t));
	to->taps = copy(&at, from->taps, from->tap_count * sizeof(uint32_t));
	to->topic = copy(&at, topic, from->topic_len);
	return to;
}

/* --- the table ---------------------------------------------------------------------------------------------- */

static void drop(struct routes *r, struct route **place)
{
	if (!*place)
		return;
	r->bytes -= (*place)->bytes;
	r->live--;
	if (r->last == *place)
		r->last = NULL;
	free(*place);
	*place = NULL;
}

static void drop_all(struct routes *r)
{
	for (uint32_t i = 0; i < r->slot_count; i++)
		drop(r, &r->slots[i]);
}

static void grow(struct routes *r)
{
	uint32_t count = r->slot_count * 2;
	struct route **slots = calloc(count, sizeof(struct route *)), **old = r->slots;

	if (!slots)
		return; /* it works as it is, only slower */
	for (uint32_t i = 0; i < r->slot_count; i++) {
		struct route **place = old[i] ? &slots[old[i]->hash * WAYS & (count - 1)] : NULL;

		if (place && *place)
			place++;
		if (place && *place)
			drop(r, place);
		if (place)
			*place = old[i];
	}
	free(old);
	r->slots = slots;
	r->slot_count = count;
}

static bool is(const struct route *r, uint32_t hash, const char *topic, size_t len)
{
	return r && r->hash == hash && r->topic_len == len && memcmp(r->topic, topic, len) == 0;
}

static struct route **place_of(struct routes *r, uint32_t hash, const char *topic, size_t len)
{
	struct route **set = &r->slots[hash * WAYS & (r->slot_count - 1)];

	if (is(set[0], hash, topic, len))
		return set;
	if (is(set[1], hash, topic, len)) {
		struct route *hit = set[1];

		set[1] = set[0];
		set[0] = hit;
		return set;
	}
	if (!set[0])
		return set;
	return &set[1];
}

/* Puts a copy of a route into the table. */
static void remember(struct broker *b, const struct route *built, const char *topic)
{
	struct routes *r = &b->routes;
	uint32_t hash = built->hash;
	struct route *made = duplicate(built, topic), **place = place_of(r, hash, topic, built->topic_len);

	if (!made)
		return; /* it works without */
	if (*place && !is(*place, hash, topic, built->topic_len) && ++r->misses > r->slot_count / 4) {
		r->misses = 0;
		if (r->slot_count < ROUTES_MAX && r->live > r->slot_count / 4)
			grow(r);
		place = place_of(r, hash, topic, built->topic_len);
	}
	drop(r, place);
	if (r->bytes + made->bytes > ROUTES_BYTES)
		drop_all(r);
	*place = made;
	r->live++;
	r->bytes += made->bytes;
}

static bool is_current(const struct broker *b, const struct route *r)
{
	return r->generation == subs_generation(&b->subs, r->bucket);
}

const struct route *route_of(struct broker *b, const char *topic, size_t len, bool checked, int *fault)
{
	struct routes *r = &b->routes;
	struct route *known = r->last;
	uint32_t hash, *asked;
	bool is_known;

	*fault = 0;
	/* a publisher's messages come in runs of one topic */
	if (known && known->topic_len == len && memcmp(known->topic, topic, len) == 0 && is_current(b, known))
		return known;
	hash = levels_hash(b->levels.seed, topic, len);
	known = *place_of(r, hash, topic, len);
	is_known = is(known, hash, topic, len);
	if (is_known && is_current(b, known)) {
		r->last = known;
		return known;
	}
	if (!checked && !is_known)
		*fault = decode_topic((struct span){(const uint8_t *)topic, len});
	known = *fault == 0 ? build(b, topic, len, hash) : NULL;
	if (!known)
		return NULL;
	asked = &r->asked[hash % ROUTES_ASKED];
	if (is_known || *asked == hash)
		remember(b, known, topic);
	*asked = hash;
	return known;
}
