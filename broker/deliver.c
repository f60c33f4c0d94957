/* SPDX-License-Identifier: MIT */
#include "broker/deliver.h"

#include "broker/alias.h"
#include "broker/encode.h"
#include "broker/expiry.h"

#include <stdlib.h>
#include <string.h>

/* --- posts -------------------------------------------------------------------------------------------------- */

void post_init(struct post *p, struct session *from)
{
	p->msg = NULL;
	p->owns_msg = false;
	p->from = from;
	p->origin = from ? MSG_FROM_CLIENT : MSG_FROM_GATEWAY;
	p->origin_id = from ? from->index : 0;
	for (int i = 0; i < LAYOUTS; i++)
		p->layout[i].bytes = NULL;
}

void post_from_msg(struct post *p, struct msg *m, int64_t now_ms)
{
	post_init(p, NULL);
	p->topic = (struct span){m->bytes, m->topic_len};
	p->props = (struct span){msg_props(m), m->props_len};
	p->payload = (struct span){msg_payload(m), m->payload_len};
	p->expiry_s = expiry_left_s(m, now_ms);
	p->qos = m->qos;
	p->retain = m->retain;
	p->msg = m;
}

struct msg *post_msg(struct broker *b, struct post *p)
{
	if (p->msg)
		return p->msg;
	p->msg = msg_new(&(struct msg_spec){
		.topic = p->topic.at,
		.topic_len = (uint32_t)p->topic.len,
		.props = p->props.at,
		.props_len = (uint32_t)p->props.len,
		.payload = p->payload.at,
		.payload_len = (uint32_t)p->payload.len,
		.qos = p->qos,
		.retain = p->retain,
		.class = MSG_TELEMETRY,
		.origin = p->origin,
		.origin_id = p->origin_id,
		.expiry_s = p->expiry_s,
		.taken_ms = broker_now_ms(b),
		.wall_ms = clock_wall_ms(b->clock),
	});
	p->owns_msg = true;
	return p->msg;
}

void post_fini(struct post *p)
{
	if (p->owns_msg)
		msg_unref(p->msg);
}

/* --- one packet --------------------------------------------------------------------------------------------- */

/* How one receiver wants it. */
struct want {
	uint8_t qos;
	bool retain, dup;
	uint16_t id;
	const uint32_t *ids;
	size_t id_count;
};

static bool by_reference(const struct post *p)
{
	return p->payload.len >= DELIVER_BY_REFERENCE;
}

static void count_sent(struct broker *b, size_t payload)
{
	b->stats.packets_out++;
	b->stats.publish_out++;
	b->stats.publish_bytes_out += payload;
}

static void count_dropped(struct session *s)
{
	s->dropped++;
	s->broker->stats.publish_dropped++;
}

static bool make_layout(struct broker *b, struct post *p, struct layout *l, unsigned which, bool v5, uint8_t qos)
{
	struct publish_head h = {.v5 = v5,
		.qos = qos,
		.topic = p->topic,
		.expiry_s = p->expiry_s,
		.props = p->props,
		.payload_len = p->payload.len};
	size_t inlined = by_reference(p) ? 0 : p->payload.len;
	uint8_t *bytes = broker_scratch(b, which, encode_publish_room(&h) + inlined);
	size_t n = bytes ? encode_publish_head(bytes, &h) : 0;

	if (n == 0)
		return false;
	if (inlined > 0)
		memcpy(bytes + n, p->payload.at, inlined);
	l->bytes = bytes;
	l->len = (uint32_t)(n + inlined);
	l->id_at = bytes[1] & 0x80 ? bytes[2] & 0x80 ? bytes[3] & 0x80 ? 5 : 4 : 3 : 2;
	l->id_at += 2 + (uint32_t)p->topic.len;
	return true;
}

static void finish_payload(struct conn *c, struct post *p)
{
	struct msg *m = by_reference(p) ? post_msg(c->broker, p) : NULL;

	if (m)
		conn_send_payload(c, m);
	else if (by_reference(p))
		conn_doom(c, RC_UNSPECIFIED);
}

/* A packet of its own. false: it does not fit the client, or no memory. */
static bool send_own(struct conn *c, struct post *p, const struct want *w)
{
	struct broker *b = c->broker;
	struct publish_head h = {.v5 = c->version == MQTT_5,
		.retain = w->retain,
		.dup = w->dup,
		.qos = w->qos,
		.id = w->id,
		.topic = p->topic,
		.expiry_s = p->expiry_s,
		.props = p->props,
		.ids = w->ids,
		.id_count = w->id_count,
		.payload_len = p->payload.len};
	uint8_t *bytes;
	size_t n;

	bytes = broker_scratch(b, SCRATCH_HEAD, encode_publish_room(&h));
	n = bytes ? encode_publish_head(bytes, &h) : 0;
	if (n == 0 || n + p->payload.len > c->max_packet)
		return false;
	if (h.v5 && c->alias_max > 0 && alias_towards(c, &h))
		n = encode_publish_head(bytes, &h);
	conn_send(c, bytes, n);
	if (by_reference(p))
		finish_payload(c, p);
	else
		conn_send(c, p->payload.at, p->payload.len);
	return true;
}

static bool send_shared(struct conn *c, struct post *p, const struct want *w)
{
	bool v5 = c->version == MQTT_5;
	unsigned which = (v5 ? 2u : 0u) + (w->qos > 0 ? 1u : 0u);
	struct layout *l = &p->layout[which];

	if (!l->bytes && !make_layout(c->broker, p, l, which, v5, w->qos))
		return false;
	if (l->len > c->max_packet || (by_reference(p) && l->len + p->payload.len > c->max_packet))
		return false;
	l->bytes[0] = (uint8_t)(PKT_PUBLISH << 4 | w->qos << 1 | (w->retain ? 1 : 0));
	if (w->qos > 0) {
		l->bytes[l->id_at] = (uint8_t)(w->id >> 8);
		l->bytes[l->id_at + 1] = (uint8_t)w->id;
	}
	conn_send(c, l->bytes, l->len);
	if (by_reference(p))
		finish_payload(c, p);
	return true;
}

/* [MQTT-3.1.2-25]: what is too large for the client counts as delivered. */
static bool send_to(struct conn *c, struct post *p, const struct want *w)
{
	bool own = w->dup || c->version == MQTT_5 ? w->dup || w->id_count > 0 || c->alias_max > 0 : false;

	if (!(own ? send_own(c, p, w) : send_shared(c, p, w)))
		return false;
	count_sent(c->broker, p->payload.len);
	return true;
}

/* --- subscription identifiers while a message is kept --------------------------------------------------------- */

static bool keep_ids(struct broker *b, const uint32_t *ids, size_t n, struct delivery *d)
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
	return true;
}

bool delivery_keep(struct session *s, struct delivery *d, struct msg *m)
{
	if (!s->queue)
		s->queue = calloc(1, sizeof(*s->queue));
	if (!s->queue)
		return false;
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

/* --- one receiver ------------------------------------------------------------------------------------------- */

/* What to deliver it as. share: DELIVERY_SHARED is set in flags, and this is its number. */
struct terms {
	uint8_t qos, flags;
	bool retain;
	uint32_t share;
	const uint32_t *ids;
	size_t id_count;
};

static bool put_in_queue(struct session *s, struct post *p, const struct terms *t)
{
	struct msg *m = post_msg(s->broker, p);
	struct delivery d = {.flags = (uint8_t)(t->qos | (t->retain ? DELIVERY_RETAIN : 0) | t->flags)};

	if (!m || (!(t->flags & DELIVERY_SHARED) && !keep_ids(s->broker, t->ids, t->id_count, &d))) {
		count_dropped(s);
		return false;
	}
	if (t->flags & DELIVERY_SHARED)
		d.ids = t->share;
	if (session_queue(s, m, d.ids, d.flags) != 0) {
		delivery_release(s, &d);
		return false;
	}
	return true;
}

/* QoS 1, 2 with a place in the window: what would be needed to send it again is kept only when that can happen. */
static void send_acked(struct conn *c, struct post *p, const struct terms *t, struct delivery *d)
{
	struct session *s = c->session;
	struct want w = {.qos = t->qos, .retain = t->retain, .id = d->id, .ids = t->ids, .id_count = t->id_count};

	d->flags = (uint8_t)(t->qos | (t->retain ? DELIVERY_RETAIN : 0) | t->flags);
	if (session_persists(s) || t->flags & DELIVERY_SHARED) {
		struct msg *m = post_msg(s->broker, p);

		if (t->flags & DELIVERY_SHARED)
			d->ids = t->share;
		else if (!keep_ids(s->broker, t->ids, t->id_count, d))
			m = NULL;
		if (!m || !delivery_keep(s, d, m))
			conn_doom(c, RC_UNSPECIFIED); /* it could not be sent again */
	}
	if (!send_to(c, p, &w)) {
		count_dropped(s);
		delivery_done(s, d);
	}
}

/* What is in the window of a session that persists is kept as well, and counts. */
static bool keeps_too_much(const struct session *s)
{
	const struct broker *b = s->broker;

	return session_persists(s) && s->queue &&
	       (s->queue->bytes >= (uint64_t)b->opts.max_queued_bytes ||
		       b->queued_bytes >= (uint64_t)b->opts.queue_memory);
}

static bool busy(const struct session *s, const struct conn *c)
{
	return conn_choked(c) || (s->queue && s->queue->acked.count > 0) || s->window.used >= c->window_max ||
	       s->resend_left > 0 || keeps_too_much(s);
}

static bool to_acked(struct session *s, struct conn *c, struct post *p, const struct terms *t, struct conn **choker)
{
	struct delivery *d = busy(s, c) ? NULL : window_put(&s->window);

	if (d) {
		send_acked(c, p, t, d);
		return true;
	}
	if (!c->slow && session_queued(s) >= DELIVER_SOFT)
		*choker = c;
	return put_in_queue(s, p, t);
}

static bool to_plain(struct session *s, struct conn *c, struct post *p, const struct terms *t)
{
	struct want w = {.retain = t->retain, .ids = t->ids, .id_count = t->id_count};

	if (conn_choked(c) || (s->queue && s->queue->plain.count > 0))
		return put_in_queue(s, p, t);
	if (!send_to(c, p, &w))
		count_dropped(s);
	return true;
}

static bool to_session(struct session *s, struct post *p, const struct terms *t, struct conn **choker)
{
	struct conn *c = s->conn;
	bool taken;

	if (!c || c->doomed) {
		if (t->qos == 0 || !session_persists(s))
			return false;
		return put_in_queue(s, p, t);
	}
	taken = t->qos > 0 ? to_acked(s, c, p, t, choker) : to_plain(s, c, p, t);
	if (conn_choked(c) && !c->slow)
		*choker = c;
	return taken;
}

/* --- routes ------------------------------------------------------------------------------------------------- */

/* --- a publisher among its own receivers, no local on some of its matching subscriptions: only the others count. */
struct remote {
	struct broker *b;
	struct terms *terms;
	const struct session *s;
	bool any, failed;
};

static void match_remote(void *ctx, uint32_t node, const struct sub *sub)
{
	struct remote *m = ctx;
	struct terms *t = m->terms;
	uint32_t *ids;

	(void)node;
	if (sub->who != m->s->index || sub->opts & SUB_NO_LOCAL)
		return;
	m->any = true;
	t->qos = (sub->opts & SUB_QOS) > t->qos ? sub->opts & SUB_QOS : t->qos;
	t->retain |= (sub->opts & SUB_RAP) != 0;
	if (sub->opts >> SUB_ID_SHIFT == 0)
		return;
	ids = (uint32_t *)(void *)broker_scratch(m->b, SCRATCH_IDS, (t->id_count + 1) * sizeof(*ids));
	m->failed |= !ids;
	if (!ids)
		return;
	ids[t->id_count++] = sub->opts >> SUB_ID_SHIFT;
	t->ids = ids;
}

static bool remote_terms(struct broker *b, const struct target *target, const struct post *p, struct terms *t)
{
	struct remote m = {.b = b, .terms = t, .s = target->session};

	*t = (struct terms){0};
	if (target->flags & TARGET_NO_LOCAL)
		return false;
	subs_match(&b->subs, (const char *)p->topic.at, p->topic.len, match_remote, &m);
	return m.any && !m.failed;
}

static bool to_target(
	struct broker *b, const struct route *r, const struct target *t, struct post *p, struct conn **choker)
{
	struct terms terms;

	if (t->session == p->from && t->flags & (TARGET_NO_LOCAL | TARGET_SOME_LOCAL)) {
		if (!remote_terms(b, t, p, &terms))
			return false;
	} else {
		terms.qos = t->qos;
		terms.flags = 0;
		terms.retain = t->flags & TARGET_RAP;
		terms.share = 0;
		terms.ids = t->flags & TARGET_IDS ? r->ids + t->ids + 1 : &t->ids;
		terms.id_count = t->flags & TARGET_IDS ? r->ids[t->ids] : t->ids != 0;
	}
	terms.qos = p->qos < terms.qos ? p->qos : terms.qos;
	terms.retain = terms.retain && p->retain;
	return to_session(t->session, p, &terms, choker);
}

static bool to_share(
	struct broker *b, uint32_t number, struct post *p, const struct session *not_to, struct conn **choker)
{
	struct share *share = share_at(b, number);
	struct sub member;
	struct session *s = share ? share_choose(b, share, not_to, &member) : NULL;
	uint32_t id;
	struct terms t;

	if (!s)
		return false;
	id = member.opts >> SUB_ID_SHIFT;
	t = (struct terms){.qos = p->qos < (member.opts & SUB_QOS) ? p->qos : member.opts & SUB_QOS,
		.flags = DELIVERY_SHARED,
		.retain = p->retain && member.opts & SUB_RAP,
		.share = number,
		.ids = &id,
		.id_count = id != 0};
	return to_session(s, p, &t, choker);
}

unsigned deliver_route(struct broker *b, const struct route *r, struct post *p, struct conn **choker)
{
	unsigned taken = r->tap_count;

	*choker = NULL;
	for (uint32_t i = 0; i < r->target_count; i++)
		taken += to_target(b, r, &r->targets[i], p, choker);
	for (uint32_t i = 0; i < r->group_count; i++)
		taken += to_share(b, r->groups[i], p, NULL, choker);
	return taken;
}

void deliver_shared_again(struct broker *b, uint32_t share, struct msg *m, const struct session *not_to)
{
	struct conn *choker = NULL;
	struct post p;

	if (expiry_passed(m, broker_now_ms(b)))
		return;
	post_from_msg(&p, m, broker_now_ms(b));
	if (!to_share(b, share, &p, not_to, &choker))
		b->stats.publish_dropped++;
}

void deliver_retained(struct session *s, struct msg *m, uint32_t opts)
{
	uint32_t id = opts >> SUB_ID_SHIFT;
	struct terms t = {.qos = m->qos < (opts & SUB_QOS) ? m->qos : opts & SUB_QOS,
		.flags = DELIVERY_REPLAY,
		.retain = true,
		.ids = &id,
		.id_count = id != 0};
	struct conn *choker = NULL;
	struct post p;

	post_from_msg(&p, m, broker_now_ms(s->broker));
	to_session(s, &p, &t, &choker);
}

/* --- queue and window --------------------------------------------------------------------------------------- */

void delivery_done(struct session *s, struct delivery *d)
{
	if (d->flags & DELIVERY_UNSENT)
		s->resend_left--;
	delivery_release(s, d);
	window_drop(&s->window, d);
}

static bool send_kept(struct session *s, const struct delivery *d, bool dup)
{
	struct post p;
	uint32_t one;
	struct want w = {.qos = d->flags & DELIVERY_QOS, .retain = d->flags & DELIVERY_RETAIN, .dup = dup, .id = d->id};

	post_from_msg(&p, d->msg, broker_now_ms(s->broker));
	w.ids = ids_of(s, d, &one, &w.id_count);
	return send_to(s->conn, &p, &w);
}

/* What was on its way when the last connection ended goes first, with DUP and in its order [MQTT-4.6.0-1], and within
 * the window of this connection. */
static void pump_again(struct session *s, size_t *budget)
{
	struct conn *c = s->conn;

	while (*budget > 0 && s->resend_left > 0 && !conn_choked(c) &&
		s->window.used - s->resend_left < c->window_max) {
		struct delivery *d = window_from(&s->window, s->resend_at);
		size_t size;

		s->resend_at = (uint16_t)(d->id == UINT16_MAX ? 1 : d->id + 1);
		if (!(d->flags & DELIVERY_UNSENT))
			continue;
		size = d->msg ? msg_bytes(d->msg) : 0;
		*budget -= size < *budget ? size : *budget;
		d->flags &= (uint8_t)~DELIVERY_UNSENT;
		s->resend_left--;
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
			count_dropped(s);
		session_dequeue(s, &s->queue->plain);
		*budget -= size < *budget ? size : *budget;
	}
}

static void pump_acked(struct session *s, size_t *budget)
{
	struct conn *c = s->conn;
	struct delivery *d, *w;

	while (*budget > 0 && !conn_choked(c) && (d = queue_head(&s->queue->acked)) != NULL) {
		size_t size = msg_bytes(d->msg);

		if (expiry_passed(d->msg, broker_now_ms(s->broker))) {
			count_dropped(s);
			session_dequeue(s, &s->queue->acked);
			continue;
		}
		w = s->window.used < c->window_max ? window_put(&s->window) : NULL;
		if (!w)
			return;
		w->msg = d->msg; /* the window has them now */
		w->flags = d->flags & (uint8_t)~DELIVERY_REPLAY;
		w->ids = d->ids;
		d->msg = NULL;
		d->flags &= (uint8_t)~DELIVERY_ID_LIST;
		session_dequeue(s, &s->queue->acked);
		*budget -= size < *budget ? size : *budget;
		if (!send_kept(s, w, false)) {
			count_dropped(s);
			delivery_done(s, w);
		} else if (!session_persists(s) && !(w->flags & DELIVERY_SHARED)) {
			delivery_release(s, w);
		}
	}
}

void deliver_pump(struct session *s)
{
	size_t budget = DELIVER_PUMP;

	if (!s->conn || s->conn->doomed)
		return;
	pump_again(s, &budget);
	if (!s->queue)
		return;
	pump_plain(s, &budget);
	if (s->resend_left == 0)
		pump_acked(s, &budget);
}

bool deliver_waiting(const struct session *s)
{
	bool acked = s->resend_left > 0 || (s->queue && s->queue->acked.count > 0);

	if (!s->conn)
		return false;
	return (s->queue && s->queue->plain.count > 0) ||
	       (acked && s->window.used - s->resend_left < s->conn->window_max);
}

/* PUBREL is never held back. */
void deliver_resume(struct session *s)
{
	struct delivery *d = NULL;
	uint8_t bytes[ENCODE_ANSWER_MAX];

	s->resend_left = 0;
	s->resend_at = s->window.oldest;
	while ((d = window_next(&s->window, d)) != NULL) {
		if (d->state == DELIVERY_RELEASED) {
			conn_send(s->conn, bytes,
				encode_answer(bytes, PKT_PUBREL, d->id, RC_OK, s->conn->version == MQTT_5));
		} else {
			d->flags |= DELIVERY_UNSENT;
			s->resend_left++;
		}
	}
	deliver_pump(s);
}
