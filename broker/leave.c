/* SPDX-License-Identifier: MIT */
#include "broker/leave.h"

#include "broker/core.h"
#include "broker/deliver.h"
#include "broker/delivery.h"
#include "broker/page.h"
#include "broker/sublist.h"
#include "broker/will.h"

#include <assert.h>

enum { LOOK_EVERY = 8 };

void leave_start(struct broker *b)
{
	b->leavers.last = &b->leavers.first;
}

bool leave_waits(const struct broker *b)
{
	return b->leavers.first;
}

/* --- the queue ---------------------------------------------------------------------------------------------- */

static void join(struct session *s)
{
	struct leavers *l = &s->broker->leavers;

	loop_disarm(s->broker->loop, &s->timer); /* its place is the queue's now */
	s->leaver.next = NULL;
	s->leaver.pprev = l->last;
	*l->last = s;
	l->last = &s->leaver.next;
	s->queued = true;
	turn_again(s->broker);
}

static void quit(struct session *s)
{
	struct leavers *l = &s->broker->leavers;

	if (!s->queued)
		return;
	*s->leaver.pprev = s->leaver.next;
	if (s->leaver.next)
		s->leaver.next->leaver.pprev = s->leaver.pprev;
	else
		l->last = s->leaver.pprev;
	s->queued = false;
	session_init_timer(s);
}

/* --- clearing, piece by piece ------------------------------------------------------------------------------- */

struct pace {
	struct broker *b;
	bool whole; /* it does not stop before all is done */
	uint32_t steps;
};

static bool goes_on(struct pace *p)
{
	return p->whole || ++p->steps % LOOK_EVERY != 0 || turn_has_time(p->b, TURN_LEAVERS);
}

/* What the members of a share did not get to the end goes to another member, QoS 2 does not [MQTT-4.8.2-5]. */
static bool clear_window(struct session *s, struct pace *p)
{
	struct delivery *d;

	while ((d = window_next(&s->window, NULL)) != NULL) {
		if (!goes_on(p))
			return false;
		if (d->flags & DELIVERY_SHARED && d->msg && (d->flags & DELIVERY_QOS) == 1)
			deliver_shared_again(s->broker, d->ids, d->msg, s);
		delivery_done(s, d);
	}
	return true;
}

static bool clear_queue(struct session *s, struct queue *q, struct pace *p)
{
	struct delivery *d;

	while ((d = queue_head(q)) != NULL) {
		if (!goes_on(p))
			return false;
		if (d->flags & DELIVERY_SHARED)
			deliver_shared_again(s->broker, d->ids, d->msg, s);
		session_dequeue(s, q);
	}
	return true;
}

static bool clear_messages(struct session *s, struct pace *p)
{
	if (s->will)
		will_publish(s);
	return clear_window(s, p) &&
	       (!s->queue || (clear_queue(s, &s->queue->acked, p) && clear_queue(s, &s->queue->plain, p)));
}

static void free_name(struct session *s)
{
	if (s->stage == LEAVE_UNNAMED)
		return;
	s->broker->leavers.over--;
	s->stage = LEAVE_UNNAMED;
	exact_session_ends(s);
	page_forget(s);
	sessions_unname(&s->broker->sessions, s);
}

static bool clear_subs(struct session *s, struct pace *p)
{
	struct broker *b = s->broker;

	while (s->sub_count > 0) {
		uint32_t ref = s->subs->refs[s->sub_count - 1];

		if (!goes_on(p))
			return false;
		if (ref & SUB_GROUP)
			share_leave(b, ref & SUB_INDEX, s->index);
		else
			subs_clear(&b->subs, ref, s->index);
		sublist_pop(s);
	}
	return true;
}

static bool clear(struct session *s, bool whole)
{
	struct pace p = {s->broker, whole, 0};

	if (!clear_messages(s, &p))
		return false;
	free_name(s);
	if (!clear_subs(s, &p))
		return false;
	quit(s);
	session_free(s);
	return true;
}

/* From now on nothing is kept for it. */
static void begin_end(struct session *s)
{
	if (s->stage >= LEAVE_ENDING)
		return;
	s->stage = LEAVE_ENDING;
	s->expiry_s = 0;
	s->broker->leavers.over++;
}

/* --- what is due -------------------------------------------------------------------------------------------- */

/* true: it goes on as one that is away. */
static bool do_due(struct session *s)
{
	int64_t now_ms = broker_now_ms(s->broker);

	if (s->will && now_ms >= s->will_due_ms)
		will_publish(s);
	if (now_ms < s->end_due_ms)
		return true;
	s->broker->stats.expired++;
	begin_end(s);
	return false;
}

static void go_on(struct session *s)
{
	if (s->stage == LEAVE_DUE && do_due(s)) {
		quit(s);
		s->stage = LEAVE_NOT;
		session_rearm(s);
		return;
	}
	if (s->stage >= LEAVE_ENDING && !clear(s, false) && !s->queued)
		join(s);
}

/* What is delivered meanwhile, to many although each message goes to few, is written in a slice of its own. */
static void serve(struct session *s)
{
	struct turn *t = &s->broker->turn;
	bool clearing = t->clearing;

	t->clearing = true;
	go_on(s);
	t->clearing = clearing;
}

static void serve_or_join(struct session *s)
{
	if (s->queued)
		return;
	if (!leave_waits(s->broker) && turn_has_time(s->broker, TURN_LEAVERS))
		serve(s);
	else
		join(s);
}

void leave_due(struct session *s)
{
	assert(!s->conn);
	if (s->stage == LEAVE_NOT)
		s->stage = LEAVE_DUE;
	serve_or_join(s);
}

void leave_end(struct session *s)
{
	assert(!s->conn);
	begin_end(s);
	serve_or_join(s);
}

void leave_make_way(struct session *s)
{
	assert(!s->conn);
	begin_end(s);
	leave_settle(s);
	serve_or_join(s);
}

void leave_all(struct session *s)
{
	assert(!s->conn);
	begin_end(s);
	clear(s, true);
}

bool leave_settle(struct session *s)
{
	struct pace whole = {s->broker, true, 0};

	if (s->stage == LEAVE_DUE && do_due(s)) {
		quit(s);
		s->stage = LEAVE_NOT;
		session_rearm(s);
	}
	if (s->stage < LEAVE_ENDING)
		return true;
	if (page_kept(s)) /* else a crash would know two of that name, or lose what was to be passed on */
		clear_messages(s, &whole);
	else if (s->will)
		will_publish(s);
	free_name(s);
	return false;
}

void leave_serve(struct broker *b)
{
	while (leave_waits(b) && turn_has_time(b, TURN_LEAVERS))
		serve(b->leavers.first);
	if (leave_waits(b))
		turn_again(b);
	else
		conn_maybe_stop(b);
}
