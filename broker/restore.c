/* SPDX-License-Identifier: MIT */
/* One walk over the entries, in the order of their numbers, so that whatever an entry names has come before it. What is
 * known only at the end (the time, the order of what was in flight) is done after it. */
#include "broker/restore.h"

#include "base/log.h"
#include "broker/area.h"
#include "broker/core.h"
#include "broker/delivery.h"
#include "broker/entry.h"
#include "broker/flights.h"
#include "broker/page.h"
#include "broker/ration.h"
#include "broker/shelf.h"
#include "broker/sublist.h"
#include "broker/will.h"

#include <errno.h>
#include <stdlib.h>

#define CENTURIES_MS ((int64_t)1 << 43)

/* A growing list of what has a number, ascending. */
struct found {
	uint64_t number;
	void *at;
	int64_t ms;    /* sessions: when the connection ended, 0: it had not, -1: not known; messages: not used */
	uint32_t kept; /* messages: see durable.h, 0: named by one delivery alone; subscriptions: the share */
};

struct list {
	struct found *all;
	uint32_t count, cap, last;
};

struct walk {
	struct broker *b;
	struct list sessions, messages, shares;
	struct list owed;    /* wills that were due: at is the message, ms not 0: placed */
	struct list orphans; /* to be struck out */
	struct flights flights;
	int64_t latest_ms; /* of all stamps */
	struct entry clock;
	uint64_t clock_number;
	uint32_t deliveries;
};

static int add(struct list *l, struct found f)
{
	if (l->count == l->cap) {
		uint32_t cap = l->cap > 0 ? l->cap * 2 : 256;
		struct found *more = area_resize(l->all, l->cap * sizeof(*more), cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->all = more;
		l->cap = cap;
	}
	l->all[l->count++] = f;
	return 0;
}

/* What was asked for last is asked for again, most of the time, or the one behind it. */
static struct found *find(struct list *l, uint64_t number)
{
	uint32_t low = 0, high = l->count;

	for (uint32_t i = l->last; i < l->count && i < l->last + 2; i++)
		if (l->all[i].number == number)
			return &l->all[l->last = i];
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (l->all[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	l->last = low;
	return low < l->count && l->all[low].number == number ? &l->all[low] : NULL;
}

static int orphan(struct walk *w, uint64_t number)
{
	return add(&w->orphans, (struct found){.number = number});
}

static void stamp(struct walk *w, int64_t at_ms)
{
	w->latest_ms = at_ms > w->latest_ms ? at_ms : w->latest_ms;
}

static struct session *session_of(struct walk *w, const struct entry *e)
{
	struct found *f = find(&w->sessions, e->session);

	return f ? f->at : NULL;
}

/* --- one of each kind --------------------------------------------------------------------------------------- */

static int take_clock(struct walk *w, uint64_t number, const struct entry *e)
{
	uint64_t before = w->clock_number;

	stamp(w, e->at_ms);
	w->clock = *e;
	w->clock_number = number;
	return before != 0 ? orphan(w, before) : 0;
}

static int take_session(struct walk *w, uint64_t number, const struct entry *e)
{
	struct session *s;
	int r;

	if (sessions_find(&w->b->sessions, e->name.at, e->name.len))
		return orphan(w, number);
	r = session_new(&s, w->b, e->name.at, e->name.len);
	if (r == 0)
		r = page_make(s);
	if (r < 0)
		return r;
	s->page->session = number;
	s->window.marked = s->received.marked = 1;
	return add(&w->sessions, (struct found){.number = number, .at = s, .ms = -1});
}

static int take_state(struct walk *w, uint64_t number, const struct entry *e)
{
	struct found *f = find(&w->sessions, e->session);
	struct session *s = f ? f->at : NULL;
	char *user = e->name.len > 0 ? span_text(e->name) : NULL;
	uint64_t before;

	if (!s || (e->name.len > 0 && !user)) {
		free(user);
		return s ? -ENOMEM : orphan(w, number);
	}
	stamp(w, e->at_ms);
	free(s->user);
	s->user = user;
	s->version = e->version & 15u;
	s->expiry_s = e->seconds;
	f->ms = e->at_ms;
	before = s->page->state;
	s->page->state = number;
	return before != 0 ? orphan(w, before) : 0;
}

static int take_will(struct walk *w, uint64_t number, const struct entry *e)
{
	struct session *s = session_of(w, e);
	struct msg *m = s ? entry_msg(e, 0) : NULL;
	struct will *will;
	uint64_t before;

	if (!s)
		return orphan(w, number);
	if (!m || will_of_take(&will, w->b, m, e->seconds) < 0)
		return -ENOMEM;
	m->origin = MSG_FROM_CLIENT;
	will_free(s->will);
	s->will = will;
	before = s->page->will;
	s->page->will = number;
	return before != 0 ? orphan(w, before) : 0;
}

static int subscribe(struct session *s, const struct entry *e, uint32_t *share)
{
	struct broker *b = s->broker;
	struct sub sub = {s->index, e->opts};
	const char *filter = (const char *)e->filter.at, *group = (const char *)e->group.at;
	uint32_t node;
	int r;

	if (e->group.len > 0) {
		r = share_join(b, group, e->group.len, filter, e->filter.len, sub);
		if (r == SUBS_NEW)
			ration_take_sub(s, e->group, e->filter);
		*share = share_find(b, group, e->group.len, filter, e->filter.len);
		return r;
	}
	*share = UINT32_MAX;
	r = subs_set(&b->subs, filter, e->filter.len, sub, &node);
	if (r == SUBS_NEW && sublist_add(s, node) < 0)
		return -ENOMEM;
	if (r == SUBS_NEW)
		ration_take_sub(s, e->group, e->filter);
	return r;
}

static int take_sub(struct walk *w, uint64_t number, const struct entry *e)
{
	struct session *s = session_of(w, e);
	uint32_t share;
	int r = s ? subscribe(s, e, &share) : 0;

	if (r < 0)
		return r;
	if (r != SUBS_NEW || !s) /* nobody's, or there already */
		return orphan(w, number);
	s->page->subs[s->sub_count - 1] = number;
	return share != UINT32_MAX ? add(&w->shares, (struct found){.number = number, .kept = share}) : 0;
}

static int take_message(struct walk *w, uint64_t number, const struct entry *e)
{
	struct msg *m = entry_msg(e, 0);
	uint32_t kept = m ? durable_keep(w->b, number) : 0;

	stamp(w, e->at_ms);
	if (kept == 0 || add(&w->messages, (struct found){.number = number, .at = m, .kept = kept}) < 0) {
		msg_unref(m);
		return -ENOMEM;
	}
	return 0;
}

/* What it came by: subscription identifiers, or a share. */
static bool take_ids(struct walk *w, const struct entry *e, struct delivery *d)
{
	struct found *share = d->flags & DELIVERY_SHARED ? find(&w->shares, e->share) : NULL;
	uint32_t *ids;

	if (share)
		d->ids = share->kept;
	else
		d->flags &= (uint8_t)~DELIVERY_SHARED;
	if (share || e->id_count == 0)
		return true;
	ids = (uint32_t *)(void *)broker_scratch(w->b, SCRATCH_IDS, e->id_count * sizeof(*ids));
	for (uint32_t i = 0; ids && i < e->id_count; i++)
		ids[i] = entry_id(e, i);
	return ids && delivery_keep_ids(w->b, d, ids, e->id_count);
}

/* m: NULL when it was released. */
static int deliver(struct walk *w, struct session *s, const struct entry *e, struct msg *m, struct mark mark)
{
	struct delivery d = {.id = e->id, .flags = e->flags, .state = e->state};

	if (!take_ids(w, e, &d) || (m && !delivery_keep(s, &d, m)))
		return -ENOMEM;
	w->deliveries++;
	if (d.id != 0)
		return flights_add(&w->flights, s, &d, mark, e->before);
	if (queue_push(&s->queue->acked, &d) < 0)
		return -ENOMEM;
	s->queue->replays += d.flags & DELIVERY_REPLAY ? 1 : 0;
	*queue_last_mark(&s->queue->acked) = mark;
	return 0;
}

static int take_delivery(struct walk *w, uint64_t number, const struct entry *e)
{
	struct session *s = session_of(w, e);
	struct found *m = s && e->message != 0 ? find(&w->messages, e->message) : NULL;

	if (!s || (e->message != 0 && (!m || m->kept == 0)))
		return orphan(w, number);
	if (m)
		w->b->durable.kept[m->kept].refs++;
	return deliver(w, s, e, m ? m->at : NULL, (struct mark){number, m ? m->kept : 0});
}

static int take_direct(struct walk *w, uint64_t number, const struct entry *e)
{
	struct session *s = session_of(w, e);
	struct msg *m;

	stamp(w, e->at_ms);
	if (!s)
		return orphan(w, number);
	m = entry_msg(e, 0);
	if (!m || add(&w->messages, (struct found){.number = number, .at = m}) < 0) {
		msg_unref(m);
		return -ENOMEM;
	}
	return deliver(w, s, e, m, (struct mark){number, 0});
}

static int take_received(struct walk *w, uint64_t number, const struct entry *e)
{
	struct session *s = session_of(w, e);
	uint64_t before;

	if (!s)
		return orphan(w, number);
	if (idset_add(&s->received, e->id, IDSET_DONE | (e->flags & ENTRY_WANTED ? IDSET_WANTED : 0)) < 0)
		return -ENOMEM;
	before = *idset_number(&s->received, e->id);
	*idset_number(&s->received, e->id) = number;
	return before != 0 ? orphan(w, before) : 0;
}

static int take_retained(struct walk *w, uint64_t number, const struct entry *e)
{
	struct broker *b = w->b;
	uint32_t place = retain_place(&b->retain, (const char *)e->topic.at, e->topic.len);
	uint64_t before = place != 0 ? shelf_entry(b, place) : 0;
	struct msg *m = e->payload.len > 0 ? entry_msg(e, 0) : NULL;
	int r;

	stamp(w, e->at_ms);
	if (e->payload.len == 0)
		return orphan(w, number);
	r = m ? retain_set(&b->retain, m, false) : -ENOMEM;
	msg_unref(m);
	if (r == RETAIN_FULL)
		return orphan(w, number);
	if (r == 0)
		r = shelf_restore(b, retain_place(&b->retain, (const char *)e->topic.at, e->topic.len), number);
	return r == 0 && before != 0 ? orphan(w, before) : r;
}

static int take_source(struct walk *w, uint64_t number, const struct entry *e)
{
	uint64_t replaced;
	int r = arrivals_restore(w->b, number, e, &replaced);

	return r == 0 && replaced != 0 ? orphan(w, replaced) : r;
}

static int take_owed(struct walk *w, uint64_t number, const struct entry *e)
{
	struct msg *m = entry_msg(e, 0);

	stamp(w, e->at_ms);
	if (!m || add(&w->owed, (struct found){.number = number, .at = m, .ms = e->flags & ENTRY_PLACED}) < 0) {
		msg_unref(m);
		return -ENOMEM;
	}
	m->origin = MSG_FROM_CLIENT;
	m->once = owed_key(w->b, e->before);
	return 0;
}

static int take_order(struct walk *w, uint64_t number, const struct entry *e)
{
	stamp(w, e->at_ms);
	return orders_restore(w->b, number, e);
}

static int take(void *arg, uint64_t number, struct span bytes)
{
	static int (*const takes[])(struct walk * w, uint64_t number, const struct entry *e) = {
		[ENTRY_CLOCK] = take_clock,
		[ENTRY_SESSION] = take_session,
		[ENTRY_STATE] = take_state,
		[ENTRY_WILL] = take_will,
		[ENTRY_SUB] = take_sub,
		[ENTRY_MESSAGE] = take_message,
		[ENTRY_DELIVERY] = take_delivery,
		[ENTRY_RECEIVED] = take_received,
		[ENTRY_RETAINED] = take_retained,
		[ENTRY_SOURCE] = take_source,
		[ENTRY_OWED] = take_owed,
		[ENTRY_DIRECT] = take_direct,
		[ENTRY_ORDER] = take_order,
	};
	struct walk *w = arg;
	struct entry e;

	if (entry_decode(&e, bytes) != 0) {
		w->b->durable.skipped++;
		return 0;
	}
	return takes[e.kind](w, number, &e);
}

/* --- the end of the walk ------------------------------------------------------------------------------------ */

/* The wall clock says how long it was down, unless it says less than nothing: then it was not set yet when the process
 * began, or was wrong before, and the time stood still. */
static void set_clock(struct walk *w)
{
	struct broker *b = w->b;
	int64_t offset_ms = w->clock_number != 0 ? w->clock.wall_ms - w->clock.at_ms : 0;
	int64_t wall_ms = clock_wall_ms(b->clock), told_ms = wall_ms - offset_ms;
	int64_t now_ms = told_ms > 0 && told_ms < CENTURIES_MS ? told_ms : wall_ms;
	bool behind = w->latest_ms > now_ms && w->latest_ms - now_ms < CENTURIES_MS; /* further is damage */

	b->durable.clock = w->clock_number;
	b->durable.steady_ms = (behind ? w->latest_ms : now_ms) - broker_now_ms(b);
}

/* They were made with the steady time, before it was known; nobody else has seen them yet. */
static void set_times(struct walk *w)
{
	struct broker *b = w->b;
	struct msg *m;

	for (uint32_t i = 0; i < w->messages.count; i++)
		((struct msg *)w->messages.all[i].at)->taken_ms -= b->durable.steady_ms;
	for (uint32_t i = 0; i < w->owed.count; i++)
		((struct msg *)w->owed.all[i].at)->taken_ms -= b->durable.steady_ms;
	for (uint32_t i = 1; i < b->retain.used; i++)
		if ((m = retain_at(&b->retain, i)) != NULL && shelf_entry(b, i) != 0)
			m->taken_ms -= b->durable.steady_ms;
}

/* They begin to be away. Those who were connected: now. */
static void let_go(struct walk *w)
{
	struct broker *b = w->b;

	for (uint32_t i = 0; i < w->sessions.count; i++) {
		struct session *s = w->sessions.all[i].at;
		int64_t ended_ms = w->sessions.all[i].ms;

		if (s->page->state == 0) { /* its will is nobody's either */
			will_free(s->will);
			s->will = NULL;
			session_end(s);
			continue;
		}
		if (s->will)
			s->will->msg->origin_id = s->index;
		session_away(s, ended_ms != 0 ? ended_ms - b->durable.steady_ms : broker_now_ms(b));
		if (ended_ms == 0) {
			flights_maybe_sent(s);
			page_state(s);
		}
	}
}

static void finish(struct walk *w)
{
	struct broker *b = w->b;

	set_clock(w);
	set_times(w);
	flights_place(&w->flights, b);
	let_go(w);
	for (uint32_t i = 0; i < w->orphans.count; i++)
		durable_strike(b, &w->orphans.all[i].number);
	for (uint32_t i = 0; i < w->owed.count; i++)
		owed_restore(b, w->owed.all[i].number, w->owed.all[i].ms != 0, w->owed.all[i].at);
	orders_found(b);
	if (b->durable.skipped > 0)
		log_warn(
			"broker: %llu entries of the ledger are not understood (damaged, or of a newer weir); they are "
			"left where they are",
			(unsigned long long)b->durable.skipped);
	if (b->sessions.count + b->retain.count > 0)
		log_info("broker: restored %u sessions, %u messages on their way, %u retained", b->sessions.count,
			w->deliveries, b->retain.count);
}

static void drop(struct walk *w)
{
	struct list *lists[] = {&w->sessions, &w->messages, &w->shares, &w->owed, &w->orphans};

	for (uint32_t i = 0; i < w->messages.count; i++) {
		msg_unref(w->messages.all[i].at);
		durable_unkeep(w->b, w->messages.all[i].kept); /* nobody is to get it: it is struck out */
	}
	for (uint32_t i = 0; i < w->owed.count; i++)
		msg_unref(w->owed.all[i].at);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		area_free(lists[i]->all, lists[i]->cap * sizeof(struct found));
	flights_fini(&w->flights);
}

int restore(struct broker *b)
{
	struct walk w = {.b = b};
	int r = b->durable.ledger.ops->replay(b->durable.ledger.ctx, take, &w);

	if (r == 0)
		finish(&w);
	else
		b->durable.ledger.ops = NULL; /* nothing is struck out of what could not be taken */
	drop(&w);
	b->retain.changed = shelf_changed;
	b->retain.ctx = b;
	return r;
}
