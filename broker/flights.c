/* SPDX-License-Identifier: MIT */
#include "broker/flights.h"

#include "broker/core.h"
#include "broker/delivery.h"
#include "broker/mark.h"

#include <errno.h>
#include <stdlib.h>

struct flight {
	struct session *session;
	uint64_t key;   /* ascends with the ids of a session */
	uint64_t place; /* what stands below this in the queue was sent before it */
	struct delivery delivery;
	struct mark mark;
};

int flights_add(struct flights *f, struct session *s, const struct delivery *d, struct mark mark, uint64_t before)
{
	bool released = d->state == DELIVERY_RELEASED;
	struct flight *more;

	if (f->count == f->cap) {
		size_t cap = f->cap > 0 ? f->cap * 2 : 64;

		more = realloc(f->all, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		f->all = more;
		f->cap = cap;
	}
	f->all[f->count++] = (struct flight){.session = s,
		.key = released && before != 0 ? before : mark.number,
		.place = released      ? 0
			 : before != 0 ? before
				       : mark.number,
		.delivery = *d,
		.mark = mark};
	return 0;
}

static int by_session_and_key(const void *a, const void *b)
{
	const struct flight *x = a, *y = b;

	if (x->session != y->session)
		return x->session->index < y->session->index ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

static uint16_t ids_before(uint16_t id, uint32_t count)
{
	while (count-- > 0)
		id = id > 1 ? (uint16_t)(id - 1) : UINT16_MAX;
	return id;
}

/* QoS 2 is never sent without its id in the ledger. */
static bool was_sent(const struct queue *q, const struct delivery *d, uint64_t place)
{
	return queue_mark(q)->number < place && (d->flags & DELIVERY_QOS) == 1;
}

/* The entries of the queue that were sent before this flight, to the ids before its own: there is room for them, as they
 * had some of these. */
static void send_those_before(struct session *s, const struct flight *f)
{
	struct queue *q = s->queue ? &s->queue->acked : NULL;
	uint32_t count = 0;
	struct delivery *d, *w;
	uint16_t id;

	if (!q || f->place == 0)
		return;
	count = queue_below(q, f->place, UINT16_MAX);
	id = ids_before(f->delivery.id, count);
	while (count-- > 0 && (d = queue_head(q)) != NULL && was_sent(q, d, f->place)) {
		w = window_put_as(&s->window, id);
		if (!w)
			return;
		delivery_move(s, w);
		id = id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
	}
}

/* There is no place for it under its id (the ledger is damaged): its message goes into the queue, to be sent anew. */
static void put_back(struct broker *b, struct flight *f)
{
	struct session *s = f->session;

	if (f->delivery.msg && queue_push(&s->queue->acked, &f->delivery) == 0) {
		*queue_last_mark(&s->queue->acked) = f->mark;
		return;
	}
	delivery_release(s, &f->delivery);
	mark_done(b, &f->mark);
}

void flights_place(struct flights *f, struct broker *b)
{
	if (f->count > 0)
		qsort(f->all, f->count, sizeof(*f->all), by_session_and_key);
	for (size_t i = 0; i < f->count; i++) {
		struct flight *one = &f->all[i];
		struct session *s = one->session;
		struct delivery *w;

		send_those_before(s, one);
		w = window_put_as(&s->window, one->delivery.id);
		if (!w) {
			put_back(b, one);
			continue;
		}
		*w = one->delivery;
		*window_mark(&s->window, w) = one->mark;
	}
	f->count = 0;
}

void flights_maybe_sent(struct session *s)
{
	struct queue *q = s->queue ? &s->queue->acked : NULL;
	uint32_t left = (uint32_t)s->broker->opts.max_inflight;
	struct delivery *d, *w;

	while (q && left-- > 0 && (d = queue_head(q)) != NULL && was_sent(q, d, UINT64_MAX)) {
		w = window_put(&s->window);
		if (!w)
			return;
		delivery_move(s, w);
	}
}

void flights_fini(struct flights *f)
{
	free(f->all);
	*f = (struct flights){0};
}
