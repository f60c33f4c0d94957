/* SPDX-License-Identifier: MIT */
#include "broker/deliver.h"

#include "broker/delivery.h"
#include "broker/expiry.h"
#include "broker/mark.h"
#include "broker/page.h"

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

	if (!m || (!(t->flags & DELIVERY_SHARED) && !delivery_keep_ids(s->broker, &d, t->ids, t->id_count))) {
		session_starved(s);
		return false;
	}
	if (t->flags & DELIVERY_SHARED)
		d.ids = t->share;
	if (session_queue(s, p, d.ids, d.flags) != 0) {
		delivery_release(s, &d);
		return false;
	}
	return true;
}

/* It is in the ledger now, if it is to be; QoS 2 goes to the client only when that is committed. */
static bool waits_for_ledger(struct session *s, struct post *p, const struct delivery *d)
{
	struct mark *m = session_persists(s) && page_kept(s) ? window_mark(&s->window, d) : NULL;

	mark_put(s, d, m, p);
	if (!m || m->number == 0 || (d->flags & DELIVERY_QOS) != 2)
		return false;
	delivery_flight(s, PKT_PUBLISH, d->id);
	return true;
}

/* What would be needed to send it again. false: no memory. */
static bool keep(struct session *s, struct post *p, const struct terms *t, struct delivery *d)
{
	struct msg *m = post_msg(s->broker, p);

	if (t->flags & DELIVERY_SHARED)
		d->ids = t->share;
	else if (!delivery_keep_ids(s->broker, d, t->ids, t->id_count))
		m = NULL;
	return m && delivery_keep(s, d, m);
}

/* QoS 1, 2 with a place in the window: it is kept only where it may have to be sent again. */
static void send_acked(struct conn *c, struct post *p, const struct terms *t, struct delivery *d)
{
	struct session *s = c->session;
	struct want w = {.qos = t->qos, .retain = t->retain, .id = d->id, .ids = t->ids, .id_count = t->id_count};

	d->flags = (uint8_t)(t->qos | (t->retain ? DELIVERY_RETAIN : 0) | t->flags);
	if (session_persists(s) || t->flags & DELIVERY_SHARED) {
		if (!keep(s, p, t, d)) {
			session_starved(s);
			delivery_done(s, d);
			return;
		}
		if (waits_for_ledger(s, p, d))
			return;
	}
	if (!post_send(c, p, &w)) {
		session_dropped(s);
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
	       s->window.unsent > 0 || keeps_too_much(s);
}

static bool to_acked(struct session *s, struct conn *c, struct post *p, const struct terms *t, struct conn **choker)
{
	struct delivery *d = busy(s, c) ? NULL : window_put(&s->window);

	if (d) {
		send_acked(c, p, t, d);
		return true;
	}
	if (session_queued(s) >= DELIVER_SOFT && conn_holds_back(c))
		*choker = c;
	return put_in_queue(s, p, t);
}

static bool to_plain(struct session *s, struct conn *c, struct post *p, const struct terms *t)
{
	struct want w = {.retain = t->retain, .ids = t->ids, .id_count = t->id_count};

	if (conn_choked(c) || (s->queue && s->queue->plain.count > 0))
		return put_in_queue(s, p, t);
	if (!post_send(c, p, &w))
		session_dropped(s);
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
	if (conn_choked(c) && conn_holds_back(c))
		*choker = c;
	return taken;
}

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
	struct session *s = share ? share_choose(b, share, not_to, p->topic, &member) : NULL;
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
	p->single = r->target_count + r->group_count == 1;
	b->turn.work += r->target_count + r->group_count + 1;
	b->turn.wide = r->target_count + r->group_count > TURN_WIDE;
	for (uint32_t i = 0; i < r->target_count; i++)
		taken += to_target(b, r, &r->targets[i], p, choker);
	for (uint32_t i = 0; i < r->group_count; i++)
		taken += to_share(b, r->groups[i], p, NULL, choker);
	b->turn.wide = false;
	return taken;
}

void deliver_shared_again(struct broker *b, uint32_t share, struct msg *m, const struct session *not_to)
{
	struct conn *choker = NULL;
	struct post p;

	if (expiry_passed(m, broker_now_ms(b)))
		return;
	post_from_msg(&p, m, broker_now_ms(b));
	p.unkept = durable_room(b) != 0;
	if (!to_share(b, share, &p, not_to, &choker))
		b->stats.publish_dropped++;
	post_fini(b, &p);
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

	if (!rights_read(s, msg_topic(m), m->topic_len))
		return;
	post_from_msg(&p, m, broker_now_ms(s->broker));
	p.unkept = durable_room(s->broker) != 0;
	to_session(s, &p, &t, &choker);
	post_fini(s->broker, &p);
}
