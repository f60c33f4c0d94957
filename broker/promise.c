/* SPDX-License-Identifier: MIT */
/* keep() first, then the taps, then delivery. What said "not now" is asked again when the store wakes us, and every
 * RETRY_MS, since a tap has no way to wake us. */
#include "broker/promise.h"

#include "base/log.h"
#include "broker/encode.h"
#include "broker/hold.h"
#include "broker/ours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 10, FIRST_ACKS = 8, MAX_ACKS = 65536 };

struct ack {
	uint64_t ticket;
	uint16_t id;
	uint8_t type, reason;
};

/* A ring. Connections with waiting answers are in broker->ack_waiters. */
struct acks {
	struct conn *next_conn;
	struct ack *ring;
	uint32_t cap, head, count;
	bool listed;
	struct progress held;
};

static int keep(struct broker *b, struct post *p, struct progress *progress)
{
	struct msg *m = post_msg(b, p);
	int r = m ? b->persist.ops->keep(b->persist.ctx, m, &progress->ticket) : -ENOMEM;

	if (r == PERSIST_BUSY)
		return PROMISE_LATER;
	progress->kept = true;
	if (r == 0) {
		b->stats.stored++;
		return 0;
	}
	b->stats.store_refused++;
	progress->ticket = 0;
	if (r < 0)
		log_warn("broker: the store failed to take a message (%s); it is not acknowledged", strerror(-r));
	return p->qos > 0 && p->from ? PROMISE_FULL : 0;
}

int promise_take(struct broker *b, const struct route *r, struct post *p, bool stored, struct progress *progress)
{
	if (r->selected && !stored && !progress->kept) {
		int result = keep(b, p, progress);

		if (result != 0)
			return result;
	}
	while (progress->taps < r->tap_count) {
		const struct tap *t = &b->taps[r->taps[progress->taps]];
		struct msg *m = post_msg(b, p);

		if (m && !t->fn(t->ctx, m))
			return PROMISE_LATER;
		progress->taps++;
	}
	return 0;
}

/* --- answers ------------------------------------------------------------------------------------------------ */

static void send_answer(struct conn *c, const struct ack *a)
{
	uint8_t bytes[ENCODE_ANSWER_MAX];
	bool last = a->type == PKT_PUBACK || (a->type == PKT_PUBCOMP ? a->reason == RC_OK : a->reason >= 0x80);

	if (last && c->in_flight > 0)
		c->in_flight--;
	conn_send(c, bytes, encode_answer(bytes, a->type, a->id, a->reason, c->version == MQTT_5));
	c->broker->stats.packets_out++;
}

static struct acks *acks_of(struct conn *c)
{
	if (!c->acks)
		c->acks = calloc(1, sizeof(*c->acks));
	return c->acks;
}

struct progress promise_progress(const struct conn *c)
{
	return c->acks ? c->acks->held : (struct progress){0};
}

int promise_hold(struct conn *c, const struct progress *p)
{
	struct acks *w = acks_of(c);

	if (!w)
		return -ENOMEM;
	w->held = *p;
	return 0;
}

static int push(struct conn *c, const struct ack *a)
{
	struct acks *w = acks_of(c);

	if (!w)
		return -ENOMEM;
	if (w->count == w->cap) {
		uint32_t cap = w->cap > 0 ? w->cap * 2 : FIRST_ACKS;
		struct ack *ring = malloc(cap * sizeof(*ring));

		if (!ring)
			return -ENOMEM;
		for (uint32_t i = 0; i < w->count; i++)
			ring[i] = w->ring[(w->head + i) & (w->cap - 1)];
		free(w->ring);
		w->ring = ring;
		w->cap = cap;
		w->head = 0;
	}
	w->ring[(w->head + w->count++) & (w->cap - 1)] = *a;
	if (!w->listed) {
		w->listed = true;
		w->next_conn = c->broker->ack_waiters;
		c->broker->ack_waiters = c;
	}
	return 0;
}

void promise_answer(struct conn *c, uint8_t type, uint16_t id, uint8_t reason, uint64_t ticket)
{
	struct ack a = {.ticket = ticket, .id = id, .type = type, .reason = reason};

	if (ticket <= c->broker->committed && !(c->acks && c->acks->count > 0))
		send_answer(c, &a);
	else if (push(c, &a) < 0)
		conn_doom(c, RC_UNSPECIFIED); /* an answer that cannot be kept: the client will ask again */
}

bool promise_full(const struct conn *c)
{
	return c->acks && c->acks->count >= MAX_ACKS;
}

static void release(struct conn *c)
{
	struct acks *w = c->acks;

	while (w->count > 0 && w->ring[w->head].ticket <= c->broker->committed) {
		struct ack a = w->ring[w->head];

		w->head = (w->head + 1) & (w->cap - 1);
		w->count--;
		send_answer(c, &a);
	}
}

static void release_all(struct broker *b)
{
	struct conn **at = &b->ack_waiters;

	while (*at) {
		struct conn *c = *at;

		release(c);
		if (c->acks->count == 0) {
			*at = c->acks->next_conn;
			c->acks->listed = false;
		} else {
			at = &c->acks->next_conn;
		}
	}
}

void promise_forget(struct conn *c)
{
	struct conn **at = &c->broker->ack_waiters;

	if (!c->acks)
		return;
	while (c->acks->listed && *at != c)
		at = &(*at)->acks->next_conn;
	if (c->acks->listed)
		*at = c->acks->next_conn;
	free(c->acks->ring);
	free(c->acks);
	c->acks = NULL;
}

/* --- waking ------------------------------------------------------------------------------------------------- */

static void retry(struct loop_timer *t)
{
	struct broker *b = (struct broker *)((char *)t - offsetof(struct broker, retry));

	ours_retry(b);
	hold_release(b, &b->tap_waiters);
	hold_release(b, &b->store_waiters);
}

void promise_retry_later(struct broker *b)
{
	if (!b->retry.armed)
		loop_arm(b->loop, &b->retry, broker_now_ms(b) + RETRY_MS);
}

static void store_woke(struct loop_watch *w, uint32_t events)
{
	struct broker *b = (struct broker *)((char *)w - offsetof(struct broker, store_watch));

	(void)events;
	b->committed = b->persist.ops->committed(b->persist.ctx);
	exact_retry(b);
	release_all(b);
	hold_release(b, &b->store_waiters);
	if (ours_waiting(b))
		ours_retry(b);
}

int promise_start(struct broker *b)
{
	b->retry.run = retry;
	b->store_watch.run = store_woke;
	b->store_watch.fd = -1;
	if (!b->persist.ops)
		return 0;
	b->committed = b->persist.ops->committed(b->persist.ctx);
	return loop_watch(b->loop, &b->store_watch, b->persist.ops->wake_fd(b->persist.ctx), EPOLLIN);
}
