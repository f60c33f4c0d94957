/* SPDX-License-Identifier: MIT */
#include "broker/owed.h"

#include "broker/core.h"
#include "broker/entry.h"
#include "broker/ours.h"

#include <stdlib.h>

/* It waits for the store, and then for the ledger to have forgotten it, in the order of the tickets. */
struct owed {
	struct owed *next;
	uint64_t number, once, ticket;
};

/* Keys of QoS 2 publishes have a packet id in their low 16 bits, and that is never 0. Numbers of the ledger are given out
 * once, so no two that live differ by 2^48. */
uint64_t owed_key(const struct broker *b, uint64_t will)
{
	return exact_works(b) ? will << 16 : 0;
}

static void push(struct owed_list *l, struct owed *o)
{
	o->next = NULL;
	if (l->last)
		l->last->next = o;
	else
		l->first = o;
	l->last = o;
}

static struct owed *pop(struct owed_list *l, uint64_t committed)
{
	struct owed *o = l->first;

	if (!o || o->ticket > committed)
		return NULL;
	l->first = o->next;
	if (!l->first)
		l->last = NULL;
	return o;
}

/* Where there is no memory the entry stays, or the key: a start finds both, and ends it. */
static void wait_for(struct owed_list *l, struct owed o)
{
	struct owed *copy = malloc(sizeof(*copy));

	if (!copy)
		return;
	*copy = o;
	push(l, copy);
}

static void mark_placed(struct broker *b, uint64_t *number, const struct msg *m)
{
	struct entry e = {.kind = ENTRY_OWED, .flags = ENTRY_PLACED, .before = m->once != 0 ? m->once >> 16 : *number};
	uint64_t placed;

	entry_of_msg(&e, m, b->durable.steady_ms);
	placed = durable_put(b, &e);
	if (placed == 0)
		return; /* counted: a crash now brings it back as a whole */
	durable_strike(b, number);
	*number = placed;
}

static void forget(struct broker *b, struct owed o)
{
	durable_strike(b, &o.number);
	if (o.once == 0)
		return;
	o.ticket = durable_ticket(b);
	wait_for(&b->owed_ledger, o);
}

void owed_placed(struct broker *b, uint64_t number, const struct msg *m, uint64_t ticket, bool stored)
{
	if (number == 0)
		return;
	if (ticket == 0) {
		forget(b, (struct owed){.number = number, .once = stored ? m->once : 0});
		return;
	}
	mark_placed(b, &number, m);
	wait_for(&b->owed_store, (struct owed){.number = number, .once = m->once, .ticket = ticket});
}

void owed_drop(struct broker *b, uint64_t number)
{
	b->stats.publish_dropped++;
	durable_strike(b, &number);
}

void owed_release(struct broker *b)
{
	struct owed *o;

	while ((o = pop(&b->owed_store, b->committed)) != NULL) {
		forget(b, *o);
		free(o);
	}
	while ((o = pop(&b->owed_ledger, b->durable.committed)) != NULL) {
		exact_let_go(b, o->once);
		free(o);
	}
}

void owed_fini(struct broker *b)
{
	struct owed *o;

	while ((o = pop(&b->owed_store, UINT64_MAX)) != NULL)
		free(o);
	while ((o = pop(&b->owed_ledger, UINT64_MAX)) != NULL)
		free(o);
}

void owed_restore(struct broker *b, uint64_t number, bool placed, struct msg *m)
{
	bool stored = m->once != 0 && exact_take(b, m->once);

	if (placed && stored)
		owed_placed(b, number, m, 0, true);
	else
		ours_resume(b, m, number, placed, stored);
}
