/* SPDX-License-Identifier: MIT */
#include "broker/ours.h"

#include "broker/arrivals.h"
#include "broker/deliver.h"
#include "broker/owed.h"
#include "broker/promise.h"
#include "broker/shelf.h"

#include <stdlib.h>

struct waiting {
	struct waiting *next;
	struct msg *msg; /* NULL: an arrival that only asks */
	struct progress progress;
	struct arrival *arrival; /* NULL: nobody waits for an answer */
	uint64_t number;         /* in the ledger; 0: not there */
	bool will;
	bool stored; /* the store has it, or is not asked */
	bool placed; /* only the store is left */
};

/* Each waits behind its own kind alone: a will that a full disk holds back is no reason for values not to be shown. */
enum lane { LANE_GATEWAY, LANE_UPSTREAM, LANE_WILLS, LANES };

struct ours {
	struct lane_queue {
		struct waiting *first, *last;
		unsigned count;
	} lanes[LANES];
};

static enum lane lane_of(const struct waiting *w)
{
	return w->arrival ? LANE_UPSTREAM : w->will ? LANE_WILLS : LANE_GATEWAY;
}

static bool lane_waits(const struct broker *b, enum lane lane)
{
	return b->ours && b->ours->lanes[lane].first;
}

bool ours_waiting(const struct broker *b)
{
	return lane_waits(b, LANE_GATEWAY) || lane_waits(b, LANE_UPSTREAM) || lane_waits(b, LANE_WILLS);
}

bool ours_hold_inbox(const struct broker *b)
{
	return lane_waits(b, LANE_GATEWAY);
}

static void place(struct broker *b, const struct route *r, struct post *p)
{
	struct msg *m = p->msg;
	struct conn *choker;
	int kept = 0;

	if (m->retain && b->opts.retain_available)
		kept = retain_set(&b->retain, m, p->unkept || shelf_is_late(b, m));
	b->stats.publish_dropped += kept != 0;
	b->starved += kept < 0;
	deliver_route(b, r, p, &choker);
	p->durable |= m->retain && !p->unkept;
}

/* It goes nowhere. */
static void drop(struct broker *b, const struct waiting *w)
{
	if (w->arrival)
		arrival_refused(b, w->arrival);
	else
		owed_drop(b, w->number);
}

/* false: not now; w->progress remembers how far it came. */
static bool publish(struct broker *b, struct waiting *w)
{
	uint64_t failed = b->durable.failed + b->starved;
	int fault, room = durable_room(b);
	const struct route *r;
	struct post p;

	if (w->arrival && arrival_settled(b, w->arrival))
		return true;
	if ((w->arrival || w->number != 0) && room == LEDGER_BUSY)
		return false; /* who is away is to find it after a crash as well */
	r = route_of(b, msg_topic(w->msg), w->msg->topic_len, true, &fault);
	if (!r) {
		drop(b, w);
		return true;
	}
	post_from_msg(&p, w->msg, broker_now_ms(b));
	p.unkept = room != 0; /* nobody waits for an answer, or it is as with a 3.1.1 client: publish.c, room() */
	if (promise_take(b, r, &p, w->stored, &w->progress) == PROMISE_LATER)
		return false;
	if (!w->placed)
		place(b, r, &p);
	post_fini(b, &p);
	if (w->arrival)
		arrival_had(b, w->arrival, p.durable, b->durable.failed + b->starved != failed);
	else
		owed_placed(b, w->number, w->msg, w->progress.ticket, w->stored);
	return true;
}

static struct waiting *pop(struct lane_queue *q)
{
	struct waiting *w = q->first;

	q->first = w->next;
	if (!q->first)
		q->last = NULL;
	q->count--;
	return w;
}

static void push(struct lane_queue *q, struct waiting *w)
{
	w->next = NULL;
	if (q->last)
		q->last->next = w;
	else
		q->first = w;
	q->last = w;
	q->count++;
}

static void wait_turn(struct broker *b, const struct waiting *what)
{
	struct lane_queue *q;
	struct waiting *w = NULL;

	if (!b->ours)
		b->ours = calloc(1, sizeof(*b->ours));
	q = b->ours ? &b->ours->lanes[lane_of(what)] : NULL;
	if (q && q->count < OURS_MAX)
		w = malloc(sizeof(*w));
	if (!w) {
		drop(b, what);
		return;
	}
	*w = *what;
	if (w->msg)
		msg_ref(w->msg);
	push(q, w);
	promise_retry_later(b);
}

static bool behind_its_own(const struct lane_queue *kept, const struct waiting *w)
{
	const struct waiting *before = kept->first;

	while (before && !arrival_same_source(before->arrival, w->arrival))
		before = before->next;
	return before;
}

/* Each in its turn, and none waits for another's upstream: a command whose line has no room holds up its own alone. */
static void retry_upstreams(struct broker *b, struct lane_queue *q)
{
	struct lane_queue kept = {NULL, NULL, 0};

	while (q->first) {
		struct waiting *w = pop(q);

		if (behind_its_own(&kept, w) || !publish(b, w)) {
			push(&kept, w);
			continue;
		}
		msg_unref(w->msg);
		free(w);
	}
	*q = kept;
	if (q->first)
		promise_retry_later(b);
}

static void start(struct broker *b, struct waiting w)
{
	enum lane lane = lane_of(&w);
	bool others_wait = lane_waits(b, lane);

	if (!others_wait && publish(b, &w))
		return;
	wait_turn(b, &w);
	if (others_wait && lane == LANE_UPSTREAM)
		retry_upstreams(b, &b->ours->lanes[lane]); /* behind theirs, so that none is passed over */
}

void ours_publish(struct broker *b, struct msg *m)
{
	start(b, (struct waiting){.msg = m, .stored = true});
}

void ours_arrived(struct broker *b, struct msg *m, struct arrival *a)
{
	start(b, (struct waiting){.msg = m, .stored = true, .arrival = a});
}

void ours_publish_will(struct broker *b, struct msg *m, uint64_t number)
{
	start(b, (struct waiting){
			 .msg = m, .number = number, .will = true, .stored = m->once != 0 && exact_take(b, m->once)});
}

/* The loop does not turn yet: it waits for that. Its taps were asked before it was placed. */
void ours_resume(struct broker *b, struct msg *m, uint64_t number, bool placed, bool stored)
{
	wait_turn(b, &(struct waiting){.msg = m,
			     .number = number,
			     .will = true,
			     .stored = stored,
			     .placed = placed,
			     .progress = {.taps = placed ? UINT16_MAX : 0}});
}

static void retry(struct broker *b, struct lane_queue *q)
{
	if (q == &b->ours->lanes[LANE_UPSTREAM]) {
		retry_upstreams(b, q);
		return;
	}
	while (q->first) {
		struct waiting *w;

		if (!publish(b, q->first)) {
			promise_retry_later(b);
			return;
		}
		w = pop(q);
		msg_unref(w->msg);
		free(w);
	}
}

void ours_retry(struct broker *b)
{
	for (int lane = 0; b->ours && lane < LANES; lane++)
		retry(b, &b->ours->lanes[lane]);
	broker_pause_inbox(b);
}

void ours_free(struct broker *b)
{
	for (int lane = 0; b->ours && lane < LANES; lane++) {
		while (b->ours->lanes[lane].first) {
			struct waiting *w = pop(&b->ours->lanes[lane]);

			msg_unref(w->msg);
			arrival_free(w->arrival);
			free(w);
		}
	}
	free(b->ours);
	b->ours = NULL;
}
