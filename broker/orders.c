/* SPDX-License-Identifier: MIT */
#include "broker/orders.h"

#include "base/utf8.h"
#include "broker/core.h"
#include "broker/entry.h"
#include "broker/promise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct order {
	struct order *next;
	struct msg *msg;
	uint64_t number, ticket;
	bool found, of_other_boot;
	char by[ENTRY_ORDER_NAME];
};

static bool is_from_upstream(const struct order *o)
{
	return o->msg->origin == MSG_FROM_BRIDGE;
}

static uint64_t put(struct broker *b, const struct order *o)
{
	struct entry e = {.kind = ENTRY_ORDER,
		.epoch = clock_boot(b->clock),
		.last = o->msg->taken_ms > 0 ? (uint64_t)o->msg->taken_ms : 0,
		.name = {(const uint8_t *)o->by, strlen(o->by)}};

	entry_of_msg(&e, o->msg, b->durable.steady_ms);
	return durable_put(b, &e);
}

static bool give(struct broker *b, const struct order *o)
{
	const struct broker_order order = {
		.msg = o->msg, .number = o->number, .by = o->by, .found = o->found, .of_other_boot = o->of_other_boot};

	return b->orders.to.give(b->orders.to.ctx, &order);
}

static int wait_turn(struct broker *b, const struct order *o)
{
	struct orders *all = &b->orders;
	struct order *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *o;
	copy->next = NULL;
	msg_ref(o->msg);
	*all->end = copy;
	all->end = &copy->next;
	all->waiting[is_from_upstream(o)]++;
	return 0;
}

static void take_out(struct orders *all, struct order **at)
{
	struct order *o = *at;

	*at = o->next;
	if (!o->next)
		all->end = at;
	all->waiting[is_from_upstream(o)]--;
	msg_unref(o->msg);
	free(o);
}

/* They have a share of their own, so that a burst from the cloud holds back no client on site. */
static bool is_full(const struct orders *all, const struct order *o)
{
	return is_from_upstream(o) ? all->waiting[true] >= ORDERS_UPSTREAM : all->waiting[false] >= ORDERS_WAITING;
}

/* A name is cut where it is too long, and not within a character. */
static void name(const struct broker *b, struct order *o)
{
	char whole[ENTRY_ORDER_NAME + 4];
	size_t len;

	broker_origin_name(b, o->msg, whole, sizeof(whole));
	len = utf8_cut(whole, strlen(whole), sizeof(o->by) - 1);
	memcpy(o->by, whole, len);
	o->by[len] = 0;
}

bool orders_take(struct broker *b, struct post *p, struct msg *m)
{
	struct order o = {.msg = m};
	bool kept = p->qos > 0 && durable_open(b), taken;

	if (m->origin != MSG_FROM_CLIENT && m->origin != MSG_FROM_BRIDGE)
		return true; /* nobody's command: the answer to one, sent to a topic that ends so, asks for nothing */
	if (b->orders.finding || is_full(&b->orders, &o))
		return false;
	name(b, &o);
	o.number = kept ? put(b, &o) : 0;
	if (kept && o.number == 0)
		return false;
	o.ticket = kept ? durable_ticket(b) : 0;
	taken = kept && p->qos == 2 ? wait_turn(b, &o) == 0 : give(b, &o);
	if (!taken)
		durable_strike(b, &o.number); /* within the turn that put it: nothing reaches the disk */
	p->durable |= taken && kept;
	return taken;
}

static bool may_go(const struct broker *b, const struct order *o)
{
	return o->found || durable_safe(b, (struct tickets){.ledger = o->ticket});
}

static void tell_settled(struct broker *b)
{
	struct orders *all = &b->orders;

	while (all->settling && durable_safe(b, (struct tickets){.ledger = all->settling->ticket})) {
		struct broker_settlement *s = all->settling;

		all->settling = s->next;
		all->to.settled(all->to.ctx, s);
	}
}

/* In their order, but that those from upstreams and all others do not wait for each other. */
static void give_waiting(struct broker *b)
{
	struct orders *all = &b->orders;
	struct order **at = &all->first;
	bool busy[2] = {false, false};

	while (*at && may_go(b, *at)) {
		bool *mine = &busy[is_from_upstream(*at)];

		*mine = *mine || !give(b, *at);
		if (*mine)
			at = &(*at)->next;
		else
			take_out(all, at);
	}
	if (busy[false] || busy[true])
		promise_retry_later(b);
}

void orders_give(struct broker *b)
{
	struct orders *all = &b->orders;

	tell_settled(b);
	give_waiting(b);
	if (!all->finding || all->first)
		return;
	all->finding = !give(b, &(struct order){.found = true});
	if (all->finding)
		promise_retry_later(b);
}

void orders_settle(struct broker *b, struct broker_settlement *s)
{
	struct orders *all = &b->orders;
	uint64_t number = s->number;

	durable_strike(b, &number);
	s->ticket = durable_ticket(b);
	s->next = NULL;
	if (all->settling)
		all->settling_last->next = s;
	else
		all->settling = s;
	all->settling_last = s;
	tell_settled(b);
}

/* --- a start ------------------------------------------------------------------------------------------------ */

int orders_restore(struct broker *b, uint64_t number, const struct entry *e)
{
	struct order o = {.number = number, .found = true, .msg = entry_msg(e, 0)};
	int r;

	if (!o.msg)
		return -ENOMEM;
	o.of_other_boot = e->epoch == 0 || e->epoch != clock_boot(b->clock);
	o.msg->taken_ms = o.of_other_boot ? broker_now_ms(b) : (int64_t)e->last; /* nobody else has seen it yet */
	memcpy(o.by, e->name.at, e->name.len);
	r = wait_turn(b, &o);
	msg_unref(o.msg);
	return r;
}

/* The loop does not turn yet: they wait for that. Where nobody takes orders they stay in the ledger. */
void orders_found(struct broker *b)
{
	b->orders.finding = b->orders.to.give != NULL;
	if (b->orders.finding)
		promise_retry_later(b);
	while (!b->orders.finding && b->orders.first)
		take_out(&b->orders, &b->orders.first);
}

void orders_init(struct broker *b)
{
	b->orders.end = &b->orders.first;
}

void orders_fini(struct broker *b)
{
	while (b->orders.first)
		take_out(&b->orders, &b->orders.first);
}
