/* SPDX-License-Identifier: MIT */
#include "gateway/setter_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int setter_new(struct setter **out, struct mailbox *inbox, uint32_t letter_command, uint32_t letter_written,
	const struct clock *clock)
{
	struct setter *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->inbox = inbox;
	s->letter_command = letter_command;
	s->letter_written = letter_written;
	s->clock = clock;
	for (size_t i = 0; i < SETTER_MAX; i++)
		s->slots[i].setter = s;
	*out = s;
	return 0;
}

void setter_wire(struct setter *s, const struct setter_deps *deps)
{
	s->field = deps->field;
	s->outbox = deps->outbox;
	snprintf(s->site, sizeof(s->site), "%s", deps->site);
	s->broker = deps->broker;
	s->begun = deps->begun;
	s->expiry_ms = deps->expiry_ms;
}

static void let_order_go(struct setter *s, struct order *o)
{
	atomic_fetch_sub(&s->orders[is_from_upstream(o)], 1);
	msg_unref(o->msg);
}

void setter_free(struct setter *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < SETTER_MAX; i++)
		if (s->slots[i].state != FREE) {
			msg_unref(s->slots[i].order.msg);
			msg_unref(s->slots[i].before);
		}
	free(s);
}

/* --- on other threads ------------------------------------------------------------------------------------------- */

static bool has_room(struct setter *s, const struct order *o)
{
	int clients = atomic_load(&s->orders[false]), upstreams = atomic_load(&s->orders[true]);
	int most = o->number == 0 ? SETTER_MAX : SETTER_MAX - SETTER_SPARE;

	return clients + upstreams < most && (!is_from_upstream(o) || upstreams < SETTER_UPSTREAM);
}

static bool give(void *ctx, const struct broker_order *from)
{
	struct setter *s = ctx;
	struct order *o = calloc(1, sizeof(*o));

	if (!o)
		return false;
	o->msg = from->msg;
	o->number = from->number;
	if (!has_room(s, o)) {
		free(o);
		return false;
	}
	o->found = from->found;
	o->of_other_boot = from->of_other_boot;
	snprintf(o->by, sizeof(o->by), "%s", from->by ? from->by : "");
	atomic_fetch_add(&s->orders[is_from_upstream(o)], 1);
	if (o->msg)
		msg_ref(o->msg);
	if (mailbox_post(s->inbox, (struct letter){.kind = s->letter_command, .ptr = o}) == 0)
		return true;
	let_order_go(s, o);
	free(o);
	return false;
}

void setter_slot_free(struct slot *slot)
{
	let_order_go(slot->setter, &slot->order);
	msg_unref(slot->before);
	atomic_store(&slot->state, FREE);
}

/* The ledger has forgotten it: so may the file that says how far it came. */
static void settled(void *ctx, struct broker_settlement *settlement)
{
	struct slot *slot = (struct slot *)(void *)((char *)settlement - offsetof(struct slot, settlement));

	(void)ctx;
	begun_clear(slot->setter->begun, place_of(slot));
	setter_slot_free(slot);
}

struct broker_orders setter_orders(struct setter *s)
{
	return (struct broker_orders){s, give, settled};
}

/* --- a command -------------------------------------------------------------------------------------------------- */

static void judge(struct setter *s, struct slot *slot, const struct permit_found *f, const struct field_target *t)
{
	const char *reason = NULL;
	enum ending ending = slot->order.found ? permit_found(f, &reason) : ENDING_NONE;
	struct value v;

	if (ending != ENDING_NONE) {
		setter_end(slot, ending, reason);
		return;
	}
	reason = permit_value(t->point, slot->order.msg, slot->text, &v, slot->room);
	if (reason)
		setter_end(slot, ENDING_REFUSED, reason);
	else
		setter_wait(s, slot, t, &v);
}

/* One that was found has its own place; what is known of it stands there until it ends. */
static struct slot *slot_for(struct setter *s, const struct order *o, struct begun_trace *trace)
{
	*trace = (struct begun_trace){BEGUN_UNTOUCHED, BEGUN_PLACES, ENDING_NONE};
	if (o->found)
		*trace = begun_trace(s->begun, o->number);
	if (trace->place < BEGUN_PLACES)
		return &s->slots[trace->place];
	for (size_t i = 0; i < SETTER_MAX; i++)
		if (s->slots[i].state == FREE && begun_is_free(s->begun, i)) {
			trace->place = i;
			if (trace->left != BEGUN_UNKNOWN)
				begun_accepted(s->begun, i, o->number);
			else
				begun_writing(s->begun, i, o->number);
			return &s->slots[i];
		}
	return NULL; /* cannot be: there are no more orders than slots */
}

static void take(struct setter *s, struct slot *slot, const struct order *o, const struct begun_trace *trace)
{
	struct permit_found f = {.trace = *trace, .of_other_boot = o->of_other_boot};
	struct field_target t;
	bool ours;

	slot->order = *o;
	slot->errand = (struct errand){.ctx = s};
	slot->before = NULL;
	slot->doubt = trace->left == BEGUN_WRITING || trace->left == BEGUN_UNKNOWN;
	ours = setter_find(s, o, &t);
	slot->quiet = !ours && trace->left != BEGUN_WRITING && trace->left != BEGUN_ENDED;
	if (!ours) {
		setter_end(slot, ENDING_REFUSED, "the point is gone from the configuration");
		return;
	}
	f.point = t.point;
	f.expired = clock_mono_us(s->clock) > setter_expires_us(s, o->msg);
	judge(s, slot, &f, &t);
	msg_unref(t.newest);
}

void setter_command(struct setter *s, struct letter l)
{
	struct order *o = l.ptr;
	struct begun_trace trace;
	struct slot *slot = s->stopping || !o->msg ? NULL : slot_for(s, o, &trace);

	if (!o->msg)
		begun_all_found(s->begun);
	if (slot)
		take(s, slot, o, &trace);
	else
		let_order_go(s, o); /* without an answer: what is kept of it is found by the next start */
	free(o);
}

void setter_drop(struct setter *s, struct letter l)
{
	let_order_go(s, l.ptr);
	free(l.ptr);
}

bool setter_sweep(struct setter *s)
{
	bool again = false;

	if (!s->stopping)
		setter_feed_lines(s);
	for (size_t i = 0; i < SETTER_MAX; i++)
		again |= s->slots[i].state != FREE && setter_go_on(s, &s->slots[i]);
	if (!s->stopping)
		setter_feed_lines(s); /* those that have ended make room */
	return again;
}

void setter_reloaded(struct setter *s, int64_t expiry_ms)
{
	s->expiry_ms = expiry_ms;
	for (size_t i = 0; i < SETTER_MAX; i++) {
		struct slot *slot = &s->slots[i];
		struct field_target t;

		if (slot->state != WAITING)
			continue;
		if (setter_find(s, &slot->order, &t)) {
			slot->line = t.line;
			msg_unref(t.newest);
		} else {
			setter_end(slot, ENDING_REFUSED, "the point is gone from the configuration");
		}
	}
}

void setter_stop(struct setter *s)
{
	s->stopping = true;
	for (size_t i = 0; i < SETTER_MAX; i++)
		if (s->slots[i].state == WAITING)
			setter_end(&s->slots[i], ENDING_STOPPED, ending_reason(ENDING_STOPPED, NULL));
	(void)setter_sweep(s);
}
