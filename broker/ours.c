/* SPDX-License-Identifier: MIT */
#include "broker/ours.h"

#include "broker/deliver.h"
#include "broker/promise.h"
#include "broker/shelf.h"

#include <stdlib.h>

struct waiting {
	struct waiting *next;
	struct msg *msg;
	struct progress progress;
	enum ours_kind kind;
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
static bool publish(struct broker *b, struct msg *m, enum ours_kind kind, struct progress *progress)
{
	int fault;
	const struct route *r = route_of(b, msg_topic(m), m->topic_len, true, &fault);
	struct conn *choker;
	struct post p;

	if (!r) {
		b->stats.publish_dropped++;
		return true;
	}
	post_from_msg(&p, m, broker_now_ms(b));
	p.unkept = durable_room(b) != 0; /* nobody waits for an answer */
	if (promise_take(b, r, &p, kind == OURS_STORED, progress) == PROMISE_LATER)
		return false;
	if (m->retain && b->opts.retain_available && retain_set(&b->retain, m, p.unkept || shelf_is_late(b, m)) != 0)
		b->stats.publish_dropped++;
	deliver_route(b, r, &p, &choker);
	post_fini(b, &p);
	return true;
}

static void wait_turn(struct broker *b, struct msg *m, enum ours_kind kind, struct progress progress)
{
	struct waiting *w = NULL;

	if (!b->ours)
		b->ours = calloc(1, sizeof(*b->ours));
	if (b->ours && b->ours->count < OURS_MAX)
		w = malloc(sizeof(*w));
	if (!w) {
		b->stats.publish_dropped++;
		return;
	}
	*w = (struct waiting){.msg = msg_ref(m), .progress = progress, .kind = kind};
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

	if (ours_waiting(b) || !publish(b, m, kind, &progress))
		wait_turn(b, m, kind, progress);
}

void ours_retry(struct broker *b)
{
	while (ours_waiting(b)) {
		struct waiting *w = b->ours->first;

		if (!publish(b, w->msg, w->kind, &w->progress)) {
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
		free(w);
	}
	free(b->ours);
	b->ours = NULL;
}
