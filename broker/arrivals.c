/* SPDX-License-Identifier: MIT */
#include "broker/arrivals.h"

#include "broker/core.h"
#include "broker/entry.h"
#include "broker/ours.h"
#include "broker/promise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct arrival {
	struct broker_arrival from; /* source: its own copy */
	uint64_t ticket;
	bool taken;
	struct arrival *next;
};

int arrival_new(struct arrival **out, const struct broker_arrival *from)
{
	struct arrival *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->from = *from;
	a->from.source = strdup(from->source);
	if (!a->from.source) {
		free(a);
		return -ENOMEM;
	}
	if (from->msg)
		msg_ref(from->msg);
	*out = a;
	return 0;
}

void arrival_free(struct arrival *a)
{
	if (!a)
		return;
	msg_unref(a->from.msg);
	free((char *)(uintptr_t)a->from.source);
	free(a);
}

bool arrival_same_source(const struct arrival *a, const struct arrival *b)
{
	return strcmp(a->from.source, b->from.source) == 0;
}

/* --- sources -------------------------------------------------------------------------------------------------- */

static struct source *find(struct arrivals *all, const char *name, size_t len)
{
	for (size_t i = 0; i < all->count; i++)
		if (strlen(all->sources[i].name) == len && memcmp(all->sources[i].name, name, len) == 0)
			return &all->sources[i];
	return NULL;
}

static struct source *longest_silent(struct arrivals *all)
{
	struct source *s = &all->sources[0];

	for (size_t i = 1; i < all->count; i++)
		if (all->sources[i].used < s->used)
			s = &all->sources[i];
	return s;
}

/* NULL: no memory. */
static struct source *add(struct broker *b, const char *name, size_t len)
{
	struct arrivals *all = &b->arrivals;
	char *copy = span_text((struct span){(const uint8_t *)name, len});
	struct source *s;

	if (!all->sources)
		all->sources = calloc(ARRIVALS_SOURCES, sizeof(*all->sources));
	if (!all->sources || !copy) {
		free(copy);
		return NULL;
	}
	if (all->count < ARRIVALS_SOURCES) {
		s = &all->sources[all->count++];
	} else {
		s = longest_silent(all);
		durable_strike(b, &s->entry);
		free(s->name);
	}
	*s = (struct source){.name = copy};
	return s;
}

static bool had(const struct source *s, const struct broker_arrival *from)
{
	return s && from->number != 0 && s->epoch == from->epoch && s->last >= from->number;
}

/* In the turn of the effects, so that both are in one commit. */
static int note(struct broker *b, const struct broker_arrival *from)
{
	struct source *s = find(&b->arrivals, from->source, strlen(from->source));
	struct entry e = {.kind = ENTRY_SOURCE,
		.epoch = from->epoch,
		.last = from->number,
		.name = {(const uint8_t *)from->source, strlen(from->source)}};
	uint64_t before, number;

	if (!s)
		s = add(b, from->source, strlen(from->source));
	number = s ? durable_put(b, &e) : 0;
	if (!s || (number == 0 && durable_open(b)))
		return -ENOMEM;
	before = s->entry;
	s->entry = number;
	durable_strike(b, &before);
	s->epoch = from->epoch;
	s->last = from->number;
	s->used = ++b->arrivals.uses;
	s->ticket = durable_ticket(b);
	return 0;
}

int arrivals_restore(struct broker *b, uint64_t number, const struct entry *e, uint64_t *replaced)
{
	struct source *s = find(&b->arrivals, (const char *)e->name.at, e->name.len);

	*replaced = 0;
	if (!s && b->arrivals.count == ARRIVALS_SOURCES) {
		*replaced = number;
		return 0;
	}
	if (!s)
		s = add(b, (const char *)e->name.at, e->name.len);
	if (!s)
		return -ENOMEM;
	*replaced = s->entry;
	s->entry = number;
	s->epoch = e->epoch;
	s->last = e->last;
	return 0;
}

/* --- answers -------------------------------------------------------------------------------------------------- */

static void answer_later(struct broker *b, struct arrival *a, bool taken, uint64_t ticket)
{
	struct arrivals *all = &b->arrivals;

	a->taken = taken;
	a->ticket = ticket;
	if (all->last)
		all->last->next = a;
	else
		all->first = a;
	all->last = a;
	arrivals_answer(b);
}

void arrivals_answer(struct broker *b)
{
	struct arrivals *all = &b->arrivals;

	while (all->first && durable_safe(b, (struct tickets){.ledger = all->first->ticket})) {
		struct arrival *a = all->first;

		if (!a->from.done(a->from.ctx, a->from.token, a->taken)) {
			promise_retry_later(b);
			return;
		}
		all->first = a->next;
		if (!a->next)
			all->last = NULL;
		arrival_free(a);
	}
}

void arrival_take(struct broker *b, struct arrival *a)
{
	ours_arrived(b, a->from.msg, a);
}

bool arrival_settled(struct broker *b, struct arrival *a)
{
	const struct source *s = find(&b->arrivals, a->from.source, strlen(a->from.source));
	bool was = had(s, &a->from);

	if (!was && a->from.msg)
		return false;
	answer_later(b, a, was, was ? s->ticket : 0);
	return true;
}

void arrival_had(struct broker *b, struct arrival *a, bool durable, bool failed)
{
	bool numbered = a->from.number != 0;

	if (!failed && numbered)
		failed = note(b, &a->from) < 0;
	answer_later(b, a, !failed, !failed && (durable || numbered) ? durable_ticket(b) : 0);
}

void arrival_refused(struct broker *b, struct arrival *a)
{
	answer_later(b, a, false, 0);
}

void arrivals_fini(struct broker *b)
{
	struct arrivals *all = &b->arrivals;

	while (all->first) {
		struct arrival *a = all->first;

		all->first = a->next;
		arrival_free(a);
	}
	for (size_t i = 0; i < all->count; i++)
		free(all->sources[i].name);
	free(all->sources);
}
