/* SPDX-License-Identifier: MIT */
#include "broker/ours.h"

#include "broker/arrivals.h"
#include "broker/deliver.h"
#include "broker/promise.h"
#include "broker/shelf.h"

#include <stdlib.h>

struct waiting {
	struct waiting *next;
	struct msg *msg;
	struct progress progress;
	enum ours_kind kind;
	struct arrival *arrival; /* NULL: nobody waits for an answer */
};

struct ours {
	struct waiting *first, *last;
	unsigned count;
};

bool ours_waiting(const struct broker *b)
{
	return b->ours && b->ours->first;
}

/* false: not now; progress remembers how far it came. */
static bool publish(struct broker *b, struct msg *m, enum ours_kind kind, struct arrival *a, struct progress *progress)
{
	uint64_t failed = b->durable.failed;
	int fault, room = durable_room(b);
	const struct route *r = route_of(b, msg_topic(m), m->topic_len, true, &fault);
	struct conn *choker;
	struct post p;

	if (a && room == LEDGER_BUSY)
		return false;
	if (!r) {
		b->stats.publish_dropped++;
		if (a)
			arrival_refused(b, a);
		return true;
	}
	post_from_msg(&p, m, broker_now_ms(b));
	p.unkept = room != 0; /* nobody waits for an answer, or it is as with a 3.1.1 client: publish.c, room() */
	if (promise_take(b, r, &p, kind == OURS_STORED, progress) == PROMISE_LATER)
		return false;
	if (m->retain && b->opts.retain_available && retain_set(&b->retain, m, p.unkept || shelf_is_late(b, m)) != 0)
		b->stats.publish_dropped++;
	deliver_route(b, r, &p, &choker);
	p.durable |= m->retain && !p.unkept;
	post_fini(b, &p);
	if (a)
		arrival_had(b, a, p.durable, b->durable.failed != failed);
	return true;
}

static void wait_turn(struct broker *b, struct msg *m, enum ours_kind kind, struct arrival *a, struct progress progress)
{
	struct waiting *w = NULL;

	if (!b->ours)
		b->ours = calloc(1, sizeof(*b->ours));
	if (b->ours && b->ours->count < OURS_MAX)
		w = malloc(sizeof(*w));
	if (!w && a) {
		arrival_refused(b, a);
		return;
	}
	if (!w) {
		b->stats.publish_dropped++;
		return;
	}
	*w = (struct waiting){.msg = msg_ref(m), .progress = progress, .kind = kind, .arrival = a};
	if (b->ours->last)
		b->ours->last->next = w;
	else
		b->ours->first = w;
	b->ours->last = w;
	b->ours->count++;
	promise_retry_later(b);
}

void ours_publish(struct broker *b, struct msg *m, enum ours_kind kind)
{
	struct progress progress = {0};

	if (ours_waiting(b) || !publish(b, m, kind, NULL, &progress))
		wait_turn(b, m, kind, NULL, progress);
}

void ours_arrived(struct broker *b, struct msg *m, struct arrival *a)
{
	struct progress progress = {0};

	if (ours_waiting(b) || !publish(b, m, OURS_STORED, a, &progress))
		wait_turn(b, m, OURS_STORED, a, progress);
}

void ours_retry(struct broker *b)
{
	while (ours_waiting(b)) {
		struct waiting *w = b->ours->first;

		if (!publish(b, w->msg, w->kind, w->arrival, &w->progress)) {
			promise_retry_later(b);
			return;
		}
		b->ours->first = w->next;
		if (!w->next)
			b->ours->last = NULL;
		b->ours->count--;
		msg_unref(w->msg);
		free(w);
	}
	broker_pause_inbox(b);
}

void ours_free(struct broker *b)
{
	while (ours_waiting(b)) {
		struct waiting *w = b->ours->first;

		b->ours->first = w->next;
		msg_unref(w->msg);
		arrival_free(w->arrival);
		free(w);
	}
	free(b->ours);
	b->ours = NULL;
}
