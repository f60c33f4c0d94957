/* SPDX-License-Identifier: MIT */
#include "broker/delivery.h"

#include "broker/acks.h"
#include "broker/core.h"
#include "broker/encode.h"
#include "broker/expiry.h"
#include "broker/mark.h"
#include "broker/page.h"
#include "broker/post.h"

#include <stdlib.h>
#include <string.h>

/* --- subscription identifiers while a message is kept --------------------------------------------------------- */

bool delivery_keep_ids(struct broker *b, struct delivery *d, const uint32_t *ids, size_t n)
{
	uint32_t at, *list;

	d->ids = n > 0 ? ids[0] : 0;
	if (n < 2)
		return true;
	at = cells_alloc(&b->subs.cells, (n + 2) / 2);
	if (at == 0)
		return false;
	list = cells_at(&b->subs.cells, at);
	list[0] = (uint32_t)n;
	memcpy(list + 1, ids, n * sizeof(*ids));
	d->ids = at;
	d->flags |= DELIVERY_ID_LIST;
	b->queued_bytes +=
		(n + 1) * sizeof(*list); /* of all: a client with many overlapping subscriptions has long ones */
	return true;
}

bool delivery_keep(struct session *s, struct delivery *d, struct msg *m)
{
	if (!s->queue) {
		s->queue = calloc(1, sizeof(*s->queue));
		if (!s->queue)
			return false;
		s->queue->acked.marked = page_kept(s);
	}
	s->queue->bytes += msg_bytes(m);
	s->broker->queued_bytes += msg_bytes(m);
	d->msg = msg_ref(m);
	return true;
}

void delivery_release(struct session *s, struct delivery *d)
{
	struct cells *cells = &s->broker->subs.cells;

	if (d->msg) {
		s->queue->bytes -= msg_bytes(d->msg);
		s->broker->queued_bytes -= msg_bytes(d->msg);
		msg_unref(d->msg);
		d->msg = NULL;
	}
	if (d->flags & DELIVERY_ID_LIST) {
		uint32_t n = *(uint32_t *)cells_at(cells, d->ids);

		s->broker->queued_bytes -= ((uint64_t)n + 1) * sizeof(n);
		cells_free(cells, d->ids, (n + 2) / 2);
		d->flags &= (uint8_t)~DELIVERY_ID_LIST;
	}
	d->ids = 0;
}

/* The ids of a kept delivery; *one is room for a single one. */
static const uint32_t *ids_of(const struct session *s, const struct delivery *d, uint32_t *one, size_t *n)
{
	const struct broker *b = s->broker;

	*one = d->ids;
	if (d->flags & DELIVERY_ID_LIST) {
		const uint32_t *list = cells_at(&b->subs.cells, d->ids);

		*n = list[0];
		return list + 1;
	}
	if (d->flags & DELIVERY_SHARED) {
		const struct share *share = share_at(b, d->ids);

		*one = 0;
		for (uint32_t i = 0; share && i < share->count; i++)
			if (share->members[i].who == s->index)
				*one = share->members[i].opts >> SUB_ID_SHIFT;
	}
	*n = *one != 0;
	return one;
}

void delivery_flight(struct session *s, uint8_t type, uint16_t id)
{
	s->page->flight = durable_ticket(s->broker);
	acks_flight(s->conn, type, id, s->page->flight);
}

/* --- queue and window --------------------------------------------------------------------------------------- */

void delivery_done(struct session *s, struct delivery *d)
{
	if (d->flags & DELIVERY_UNSENT)
		s->window.unsent--;
	if (s->window.marked)
		mark_done(s->broker, window_mark(&s->window, d));
	delivery_release(s, d);
	window_drop(&s->window, d);
}

static bool send_kept(struct session *s, const struct delivery *d, bool dup)
{
	struct post p;
	uint32_t one;
	struct want w = {.qos = d->flags & DELIVERY_QOS, .retain = d->flags & DELIVERY_RETAIN, .dup = dup, .id = d->id};

	if (!rights_read(s, msg_topic(d->msg), d->msg->topic_len)) /* a right may be gone since it was queued */
		return false;
	post_from_msg(&p, d->msg, broker_now_ms(s->broker));
	w.ids = ids_of(s, d, &one, &w.id_count);
	return post_send(s->conn, &p, &w);
}

/* What was on its way when the last connection ended goes first, with DUP and in its order [MQTT-4.6.0-1], and within
 * the window of this connection. */
static void pump_again(struct session *s, size_t *budget)
{
	struct conn *c = s->conn;

	while (*budget > 0 && s->window.unsent > 0 && !conn_choked(c) &&
		s->window.used - s->window.unsent < c->window_max) {
		struct delivery *d = window_from(&s->window, s->window.unsent_at);
		size_t size;

		s->window.unsent_at = (uint16_t)(d->id == UINT16_MAX ? 1 : d->id + 1);
		if (!(d->flags & DELIVERY_UNSENT))
			continue;
		size = d->msg ? msg_bytes(d->msg) : 0;
		*budget -= size < *budget ? size : *budget;
		d->flags &= (uint8_t)~DELIVERY_UNSENT;
		s->window.unsent--;
		if (!d->msg || !send_kept(s, d, true))
			delivery_done(s, d);
	}
}

static void pump_plain(struct session *s, size_t *budget)
{
	struct delivery *d;

	while (*budget > 0 && !conn_choked(s->conn) && (d = queue_head(&s->queue->plain)) != NULL) {
		size_t size = msg_bytes(d->msg);

		if (expiry_passed(d->msg, broker_now_ms(s->broker)) || !send_kept(s, d, false))
			session_dropped(s);
		session_dequeue(s, &s->queue->plain);
		*budget -= size < *budget ? size : *budget;
	}
}

void delivery_send_now(struct session *s, uint16_t id)
{
	struct delivery *d = window_find(&s->window, id);

	if (!d || d->state != DELIVERY_SENT || !d->msg || d->flags & DELIVERY_UNSENT)
		return; /* answered meanwhile, without having been sent */
	if (!send_kept(s, d, false)) {
		session_dropped(s);
		delivery_done(s, d);
	}
}

void delivery_move(struct session *s, struct delivery *w)
{
	struct delivery *d = queue_head(&s->queue->acked);
	struct mark *m = queue_mark(&s->queue->acked);

	w->msg = d->msg;
	w->flags = d->flags & (uint8_t)~DELIVERY_REPLAY;
	w->ids = d->ids;
	d->msg = NULL;
	d->flags &= (uint8_t)~DELIVERY_ID_LIST;
	if (m && s->window.marked) {
		*window_mark(&s->window, w) = *m;
		*m = (struct mark){0};
	}
	session_dequeue(s, &s->queue->acked);
}

/* QoS 2 that is in the ledger goes when its packet id is there as well. A session that was kept and is to end with this
 * connection needs that no more: a restart would not bring it back. */
static bool send_moved(struct session *s, struct delivery *w)
{
	struct mark *m = s->window.marked && session_persists(s) ? window_mark(&s->window, w) : NULL;

	if (!m || m->number == 0 || (w->flags & DELIVERY_QOS) != 2)
		return send_kept(s, w, false);
	mark_sent(s, w, m);
	delivery_flight(s, PKT_PUBLISH, w->id);
	return true;
}

static void pump_acked(struct session *s, size_t *budget)
{
	struct conn *c = s->conn;
	struct delivery *d, *w;

	while (*budget > 0 && !conn_choked(c) && (d = queue_head(&s->queue->acked)) != NULL) {
		size_t size = msg_bytes(d->msg);

		if (expiry_passed(d->msg, broker_now_ms(s->broker))) {
			session_dropped(s);
			session_dequeue(s, &s->queue->acked);
			continue;
		}
		w = s->window.used < c->window_max ? window_put(&s->window) : NULL;
		if (!w)
			return;
		delivery_move(s, w);
		*budget -= size < *budget ? size : *budget;
		if (!send_moved(s, w)) {
			session_dropped(s);
			delivery_done(s, w);
		} else if (!session_persists(s) && !(w->flags & DELIVERY_SHARED)) {
			delivery_release(s, w);
		}
	}
}

void delivery_pump(struct session *s)
{
	size_t budget = DELIVERY_PUMP;

	if (!s->conn || s->conn->doomed)
		return;
	pump_again(s, &budget);
	if (!s->queue)
		return;
	pump_plain(s, &budget);
	if (s->window.unsent == 0)
		pump_acked(s, &budget);
}

bool delivery_waiting(const struct session *s)
{
	bool acked = s->window.unsent > 0 || (s->queue && s->queue->acked.count > 0);

	if (!s->conn)
		return false;
	return (s->queue && s->queue->plain.count > 0) ||
	       (acked && s->window.used - s->window.unsent < s->conn->window_max);
}

/* PUBREL is never held back. */
void delivery_resume(struct session *s)
{
	struct delivery *d = NULL;
	uint8_t bytes[ENCODE_ANSWER_MAX];

	s->window.unsent = 0;
	s->window.unsent_at = s->window.oldest;
	while ((d = window_next(&s->window, d)) != NULL) {
		if (d->state == DELIVERY_RELEASED) {
			conn_send(s->conn, bytes,
				encode_answer(bytes, PKT_PUBREL, d->id, RC_OK, s->conn->version == MQTT_5));
		} else {
			d->flags |= DELIVERY_UNSENT;
			s->window.unsent++;
		}
	}
	delivery_pump(s);
}
