/* SPDX-License-Identifier: MIT */
/* Rules are read without a lock: a lane shows in ->reading which rules it looks at, and whoever replaces them waits
 * until no lane shows the old ones (a hazard pointer). A look lasts microseconds, and a reload is rare. */
#include "gateway/route.h"

#include "bridge/hops.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct rules {
	const struct bridge_opts *upstreams;
	size_t count;
	bool classes; /* some give a class */
};

struct route {
	struct store *store;
	struct broker *broker;
	char *site; /* NULL: no message ever came through here before */
	_Atomic(struct rules *) rules;
	struct lane *lanes; /* main's list */
};

/* Owner: the thread it was made for; ->next is main's, ->reading is looked at by main. */
struct lane {
	struct route *route;
	struct store_source *source;
	uint64_t ticket;    /* of the last that the store took */
	struct msg *stored; /* through the store already, and still to go to the broker */
	bool refused;       /* ... which did not want ->stored */
	_Atomic(struct rules *) reading;
	struct lane *next;
};

int route_new(struct route **out, struct store *store)
{
	struct route *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->store = store;
	*out = r;
	return 0;
}

void route_free(struct route *r)
{
	if (!r)
		return;
	free(atomic_load(&r->rules));
	free(r->site);
	free(r);
}

int route_set_site(struct route *r, const char *site)
{
	char *copy = strdup(site);

	if (!copy)
		return -ENOMEM;
	free(r->site);
	r->site = copy;
	return 0;
}

void route_set_broker(struct route *r, struct broker *b)
{
	r->broker = b;
}

int route_set_rules(struct route *r, const struct bridge_opts *upstreams, size_t count)
{
	struct rules *fresh = malloc(sizeof(*fresh)), *old;

	if (!fresh)
		return -ENOMEM;
	*fresh = (struct rules){.upstreams = upstreams, .count = count};
	for (size_t i = 0; i < count; i++)
		fresh->classes = fresh->classes || bridge_classes(&upstreams[i]);
	old = atomic_exchange(&r->rules, fresh);
	for (struct lane *l = r->lanes; old && l; l = l->next)
		while (atomic_load(&l->reading) == old)
			sched_yield();
	free(old);
	return 0;
}

/* From here to look_away() they stay as they are. */
static const struct rules *look(struct lane *l)
{
	struct rules *rules;

	do {
		rules = atomic_load(&l->route->rules);
		atomic_store(&l->reading, rules);
	} while (rules != atomic_load(&l->route->rules));
	return rules;
}

static void look_away(struct lane *l)
{
	atomic_store(&l->reading, NULL);
}

static bool selects(struct lane *l, const char *topic, size_t len)
{
	const struct rules *rules = look(l);
	bool found = false;

	for (size_t i = 0; rules && !found && i < rules->count; i++)
		found = bridge_selects(&rules->upstreams[i], topic, len);
	look_away(l);
	return found;
}

/* The highest class that an upstream's rule gives to it; below 0: none does. */
static int class_of(struct lane *l, const struct msg *m)
{
	const struct rules *rules = look(l);
	int class = BRIDGE_CLASS_KEEP;

	for (size_t i = 0; rules && rules->classes && i < rules->count; i++) {
		int one = bridge_class(&rules->upstreams[i], msg_topic(m), m->topic_len);

		class = one > class ? one : class;
	}
	look_away(l);
	return class;
}

/* A message is never changed, so one of another class is another message; NULL: no memory. */
static struct msg *with_class(const struct msg *m, enum msg_class class)
{
	struct msg_spec spec = msg_spec_of(m);

	spec.class = class;
	return msg_new(&spec);
}

int lane_new(struct lane **out, struct route *r)
{
	struct lane *l = calloc(1, sizeof(*l));
	int rc = l ? 0 : -ENOMEM;

	if (rc == 0 && r->store)
		rc = store_source_new(&l->source, r->store);
	if (rc < 0) {
		free(l);
		return rc;
	}
	l->route = r;
	l->next = r->lanes;
	r->lanes = l;
	*out = l;
	return 0;
}

void lane_free(struct lane *l)
{
	struct lane **at;

	if (!l)
		return;
	for (at = &l->route->lanes; *at != l;)
		at = &(*at)->next;
	*at = l->next;
	store_source_free(l->source);
	msg_unref(l->stored);
	free(l);
}

/* 0: it is stored, need not be, or was refused (then l->refused). */
static int to_store(struct lane *l, struct msg *m)
{
	int r;

	l->refused = false;
	if (!l->source || !selects(l, msg_topic(m), m->topic_len))
		return 0;
	r = store_append(l->source, m, &l->ticket);
	l->refused = r == STORE_FULL;
	return r == STORE_BUSY ? ROUTE_BUSY : r == STORE_FULL ? 0 : r;
}

/* ->stored goes to the broker. */
static int to_broker(struct lane *l)
{
	if (l->route->broker && broker_publish(l->route->broker, l->stored) == BROKER_BUSY)
		return ROUTE_BUSY;
	msg_unref(l->stored);
	l->stored = NULL;
	return 0;
}

int lane_publish(struct lane *l, struct msg *m)
{
	int r = 0;

	if (l->stored && l->stored != m)
		r = to_broker(l);
	if (r == 0 && !l->stored) {
		r = to_store(l, m);
		if (r == 0)
			l->stored = msg_ref(m);
	}
	if (r == 0)
		r = to_broker(l);
	return r == 0 && l->refused ? ROUTE_FULL : r;
}

uint64_t lane_ticket(const struct lane *l)
{
	return l->ticket;
}

bool lane_safe(struct lane *l, uint64_t ticket)
{
	return ticket == 0 || store_source_committed(l->source) >= ticket;
}

/* --- the broker's side -------------------------------------------------------------------------------------- */

static int persist_keep(void *ctx, struct msg *m, uint64_t *ticket)
{
	struct lane *l = ctx;
	int class = class_of(l, m), r;
	struct msg *other = class < 0 || class == m->class ? NULL : with_class(m, (enum msg_class) class);

	if (class >= 0 && class != m->class && !other)
		return -ENOMEM;
	r = store_append(l->source, other ? other : m, ticket);
	msg_unref(other);
	return r == STORE_BUSY ? PERSIST_BUSY : r == STORE_FULL ? PERSIST_FULL : r;
}

static bool persist_selects(void *ctx, const char *topic, size_t len)
{
	return selects(ctx, topic, len);
}

static bool persist_passed(void *ctx, const void *props, size_t len)
{
	const struct lane *l = ctx;

	return l->route->site && hops_passed(props, len, l->route->site);
}

static uint64_t persist_committed(void *ctx)
{
	struct lane *l = ctx;

	return store_source_committed(l->source);
}

static int persist_wake_fd(void *ctx)
{
	struct lane *l = ctx;

	return store_source_fd(l->source);
}

static int persist_release(void *ctx, uint64_t once, uint64_t *ticket)
{
	struct lane *l = ctx;

	return store_release(l->source, once, ticket) == STORE_BUSY ? PERSIST_BUSY : 0;
}

static const uint64_t *persist_once(void *ctx, size_t *count)
{
	struct lane *l = ctx;

	return store_once(l->route->store, count);
}

struct persist lane_persist(struct lane *l)
{
	static const struct persist_ops ops = {
		.keep = persist_keep,
		.selects = persist_selects,
		.passed = persist_passed,
		.committed = persist_committed,
		.wake_fd = persist_wake_fd,
		.release = persist_release,
		.once = persist_once,
	};

	return l->source ? (struct persist){&ops, l} : (struct persist){0};
}
