/* SPDX-License-Identifier: MIT */
/* A PUBLISH from a client: checked, taken by the store and the taps, retained, delivered, answered. Whatever is
 * wrong with it is found before anything of it reaches anybody. */
#include "broker/acks.h"
#include "broker/alias.h"
#include "broker/bounds.h"
#include "broker/deliver.h"
#include "broker/dispatch.h"
#include "broker/hold.h"
#include "broker/mount.h"
#include "broker/page.h"
#include "broker/promise.h"
#include "broker/rate.h"

#include "base/utf8.h"

#include <errno.h>

#define HOP_PROPS ((uint64_t)1 << PROP_TOPIC_ALIAS | (uint64_t)1 << PROP_MESSAGE_EXPIRY)

static const uint8_t answer_type[3] = {0, PKT_PUBACK, PKT_PUBREC};

/* What CONNACK announced. */
static int check_limits(const struct conn *c, const struct publish *pub)
{
	const struct broker_opts *o = &c->broker->opts;

	if (pub->qos > o->max_qos)
		return RC_NO_QOS;
	if (pub->retain && !o->retain_available)
		return RC_NO_RETAIN;
	return 0;
}

/* What is to be done of a publish. All of it, most of the time; of a QoS 2 message that came before nothing is left, unless
 * it was cut short: by the client's going while it was held, or by a crash between the commits of store and ledger. */
enum leg { LEG_STORE = 1, LEG_HERE = 2, LEG_REPEATED = 4 };

static unsigned legs_left(const struct conn *c, const struct publish *pub)
{
	struct idset *ids = &c->session->received;
	unsigned flags = idset_flags(ids, pub->id), legs = LEG_REPEATED;

	if (!idset_has(ids, pub->id))
		return LEG_STORE | LEG_HERE;
	/* What only the store knows from before a restart may be stale: DUP, which every resending has, makes it the
	 * same. */
	if (!pub->dup && flags & IDSET_RESTORED) {
		idset_drop(ids, pub->id);
		return LEG_STORE | LEG_HERE;
	}
	if (flags & IDSET_WANTED && !(flags & IDSET_STORED))
		legs |= LEG_STORE;
	return flags & IDSET_DONE ? legs : legs | LEG_HERE;
}

static int count_in_flight(struct conn *c)
{
	const struct broker_opts *o = &c->broker->opts;

	if (c->version != MQTT_5)
		return 0;
	if (c->in_flight >= o->receive_maximum)
		return RC_RECEIVE_MAXIMUM;
	c->in_flight++;
	return 0;
}

/* Refused without closing: v5 says why, 3.1.1 has no way to and closes [3.1.1 MQTT-3.3.5-2]. */
static int refuse(struct conn *c, const struct publish *pub, uint8_t reason, const char *words)
{
	struct words w;

	if (c->version != MQTT_5)
		return reason;
	words_say(&w, "%s", words);
	if (pub->qos > 0)
		acks_refuse(c, answer_type[pub->qos], pub->id, reason, &w);
	return 0;
}

/* What is not the client's to write is acknowledged and dropped where there is no way to say so [3.1.1 MQTT-3.3.5-2]. */
static int deny_by_rule(struct conn *c, const struct publish *pub)
{
	struct words w = {{0}};

	if (c->wordy && bounds_reserve(pub->topic))
		words_say(&w, "only the broker itself writes there");
	else if (c->wordy)
		words_deny(&w, c, c->session->user, "write", pub->topic);
	if (pub->qos > 0)
		acks_refuse(c, answer_type[pub->qos], pub->id, c->version == MQTT_5 ? RC_NOT_AUTHORIZED : RC_OK, &w);
	return 0;
}

static int deny(struct conn *c, const struct publish *pub)
{
	struct acl_who who = rights_who(c->session);

	rights_refused(c->broker, c, &who, BROKER_WRITE, pub->topic);
	return deny_by_rule(c, pub);
}

/* The packet came as it will go out to receivers of the same version: it is its own first layout. */
static void reuse_bytes(struct conn *c, const struct packet *p, const struct publish *pub, struct post *post)
{
	unsigned which = (c->version == MQTT_5 ? 2u : 0u) + (pub->qos > 0 ? 1u : 0u);
	uint32_t head = (uint32_t)(p->body.at - p->start);
	bool shortest = head == 2 || p->start[head - 1] != 0;

	if (mount_is(c) || pub->alias > 0 || pub->have >> PROP_MESSAGE_EXPIRY & 1 || !shortest ||
		pub->payload.len >= POST_BY_REFERENCE)
		return;
	post->layout[which] =
		(struct layout){.bytes = p->start, .len = p->total, .id_at = head + 2 + (uint32_t)pub->topic.len};
}

static int make_post(struct conn *c, const struct packet *p, const struct publish *pub, struct post *post)
{
	post_init(post, c->session);
	post->topic = pub->topic;
	post->payload = pub->payload;
	post->props = pub->props;
	post->expiry_s = pub->expiry_s;
	post->qos = pub->qos;
	post->retain = pub->retain;
	if (pub->have & HOP_PROPS) {
		uint8_t *props = broker_scratch(c->broker, SCRATCH_PROPS, pub->props.len);

		if (!props)
			return -ENOMEM;
		post->props = (struct span){props, props_strip(pub->props, HOP_PROPS, props)};
	}
	reuse_bytes(c, p, pub, post);
	return 0;
}

static void count(struct conn *c, const struct publish *pub)
{
	c->published++;
	c->broker->stats.publish_in++;
	c->broker->stats.publish_bytes_in += pub->payload.len;
}

static void retain(struct broker *b, struct post *post)
{
	struct msg *m = post_msg(b, post);

	int r = m ? retain_set(&b->retain, m, post->unkept) : -ENOMEM;

	b->stats.publish_dropped += r != 0;
	b->starved += r < 0;
	post->durable |= durable_open(b) && !post->unkept;
}

/* QoS 2: done from now on, and for a session that is kept in the ledger, in the same commit as what came of it. */
static int remember(struct conn *c, const struct publish *pub, struct post *post)
{
	struct session *s = c->session;

	if (idset_add(&s->received, pub->id, IDSET_DONE) < 0)
		return -ENOMEM;
	post->durable |= page_kept(s);
	return page_received(s, pub->id, post->once != 0);
}

static int answer(struct conn *c, const struct publish *pub, uint8_t reason, const struct post *post, uint64_t stored)
{
	struct tickets t = {.store = stored};

	if (pub->qos == 0)
		return 0;
	if (post->durable)
		t.ledger = durable_ticket(c->broker);
	if (t.store + t.ledger > 0 && page_published(c->session, t) < 0)
		return RC_UNSPECIFIED;
	acks_answer(c, answer_type[pub->qos], pub->id, reason, pub->qos == 2 ? page_last(c->session) : t);
	return 0;
}

static int deliver(struct conn *c, const struct route *r, const struct publish *pub, struct post *post, uint64_t ticket)
{
	struct broker *b = c->broker;
	struct conn *choker;
	uint64_t failed = b->durable.failed, starved = b->starved;
	unsigned taken;

	if (pub->qos == 2 && idset_add(&c->session->received, pub->id, 0) < 0)
		return RC_UNSPECIFIED;
	if (pub->retain)
		retain(b, post);
	taken = deliver_route(b, r, post, &choker);
	/* somebody who should have it has not, or the ledger: it is not acknowledged, and the client will send it again */
	if (pub->qos > 0 && b->starved != starved)
		return RC_UNSPECIFIED;
	if ((pub->qos == 2 && remember(c, pub, post) < 0) || b->durable.failed != failed)
		return RC_UNSPECIFIED;
	if (choker && choker != c) {
		hold_conn(c, &choker->waiters);
		conn_rearm(choker); /* what only went to its queue makes no turn look at it */
	}
	return answer(c, pub,
		taken == 0 && r->target_count + r->group_count == 0 && !r->selected ? RC_NO_SUBSCRIBERS : RC_OK, post,
		ticket);
}

/* Held with the packet: what was done of it is not done again. */
static int wait_for_room(struct conn *c, const struct route *r, const struct progress *progress)
{
	struct broker *b = c->broker;
	bool tap = progress->kept || !r->selected;

	if (acks_hold(c, progress) < 0)
		return RC_UNSPECIFIED;
	if (tap)
		promise_retry_later(b);
	hold_conn(c, tap ? &b->tap_waiters : &b->store_waiters);
	return DISPATCH_HOLD;
}

/* What must be noted once the store has the message: there is room for it before, since nothing takes it back. */
static int prepare(struct conn *c, const struct route *r, const struct publish *pub)
{
	int result = r->selected ? page_make(c->session) : 0;

	return result == 0 && pub->qos == 2 ? idset_reserve(&c->session->received, pub->id) : result;
}

static int take(struct conn *c, const struct route *r, const struct publish *pub, struct post *post, unsigned legs,
	struct progress progress)
{
	bool kept = progress.kept;
	int result = prepare(c, r, pub);

	if (result < 0)
		return RC_UNSPECIFIED;
	result = promise_take(c->broker, r, post, !(legs & LEG_STORE), &progress);
	/* known from the moment the store has it, even if the client goes before the answer */
	if (pub->qos == 2 && progress.kept && !kept && result != PROMISE_FULL &&
		idset_add(&c->session->received, pub->id, post->once != 0 ? IDSET_STORED | IDSET_WANTED : 0) < 0)
		return RC_UNSPECIFIED;
	if (progress.ticket > 0 && page_published(c->session, (struct tickets){.store = progress.ticket}) < 0)
		return RC_UNSPECIFIED;
	if (result == PROMISE_LATER)
		return wait_for_room(c, r, &progress);
	if (result == PROMISE_FULL)
		return refuse(c, pub, RC_QUOTA, "the queue to the upstream is full (store.max_bytes)");
	return legs & LEG_HERE ? deliver(c, r, pub, post, progress.ticket)
			       : answer(c, pub, RC_OK, post, progress.ticket);
}

static bool share_keeps(const struct broker *b, const struct share *g)
{
	for (uint32_t i = 0; i < g->count; i++)
		if (page_kept(sessions_at(&b->sessions, g->members[i].who)))
			return true;
	return false;
}

/* Would anything of it have to outlive the process? Asked only where there is no room for it. */
static bool is_durable(const struct broker *b, const struct route *r, const struct publish *pub)
{
	if (pub->retain)
		return true;
	for (uint32_t i = 0; pub->qos > 0 && i < r->target_count; i++)
		if (r->targets[i].qos > 0 && page_kept(r->targets[i].session))
			return true;
	for (uint32_t i = 0; pub->qos > 0 && i < r->group_count; i++)
		if (share_keeps(b, share_at(b, r->groups[i])))
			return true;
	return false;
}

/* 0; LEDGER_BUSY: later; LEDGER_FULL: refuse it. A full ledger keeps no 3.1.1 client from being heard by those who are
 * there: for those who are away it is kept in memory alone then, and counted. */
static int room(struct conn *c, const struct route *r, const struct publish *pub, struct post *post)
{
	struct broker *b = c->broker;
	int room = b->durable.ledger.ops ? durable_room(b) : 0;

	if (room == 0 || !is_durable(b, r, pub))
		return 0;
	if (room == LEDGER_FULL && (c->version != MQTT_5 || pub->qos == 0)) {
		post->unkept = true;
		return 0;
	}
	b->durable.refused += room == LEDGER_FULL;
	return room;
}

static int take_with_room(
	struct conn *c, const struct route *r, const struct publish *pub, struct post *post, unsigned legs, bool again)
{
	struct progress progress =
		again ? acks_progress(c)
		      : (struct progress){.kept = !(legs & LEG_STORE), .taps = legs & LEG_HERE ? 0 : UINT16_MAX};
	bool begun = again && (progress.kept || progress.taps > 0); /* then it is taken to its end */

	switch (begun ? 0 : room(c, r, pub, post)) {
	case LEDGER_FULL: return refuse(c, pub, RC_QUOTA, "what is kept on the disk is full (state_bytes)");
	case LEDGER_BUSY:
		if (acks_hold(c, &progress) < 0)
			return RC_UNSPECIFIED;
		hold_conn(c, &c->broker->durable.waiters);
		return DISPATCH_HOLD;
	default: return take(c, r, pub, post, legs, progress);
	}
}

/* Where we can say so, a message that cannot be retained is refused as a whole; else it is delivered and counted. */
static bool retain_room(const struct broker *b, const struct publish *pub)
{
	size_t bytes = sizeof(struct msg) + pub->topic.len + 1 + pub->props.len + pub->payload.len;

	return pub->payload.len == 0 || retain_fits(&b->retain, (const char *)pub->topic.at, pub->topic.len, bytes);
}

/* It has been through this gateway, and comes back by a bridge: it is taken and goes nowhere, so the ring ends here. */
static bool came_round(const struct broker *b, const struct post *post)
{
	return post->props.len > 0 && b->persist.ops && b->persist.ops->passed &&
	       b->persist.ops->passed(b->persist.ctx, post->props.at, post->props.len);
}

static int take_new(struct conn *c, const struct packet *p, struct publish *pub, unsigned legs, bool again)
{
	struct broker *b = c->broker;
	static const struct route nowhere;
	const struct route *r;
	struct post post;
	int fault = again || pub->qos == 0 || legs & LEG_REPEATED ? 0 : count_in_flight(c);

	if (fault != 0)
		return fault;
	r = route_of(b, (const char *)pub->topic.at, pub->topic.len, pub->topic_checked, &fault);
	if (!r)
		return fault != 0 ? fault : RC_UNSPECIFIED;
	if (bounds_reserve(pub->topic))
		return deny(c, pub);
	if (b->acl && !rights_write_slow(c->session, r, (const char *)pub->topic.at, pub->topic.len))
		return deny_by_rule(c, pub);
	if (pub->format == 1 && b->opts.check_payload_format && !utf8_ok(pub->payload.at, pub->payload.len))
		return refuse(c, pub, RC_BAD_PAYLOAD, "the payload is not the UTF-8 it is said to be");
	if (pub->retain && c->version == MQTT_5 && pub->qos > 0 && !retain_room(b, pub))
		return refuse(
			c, pub, RC_QUOTA, "no more retained messages (max_retained_messages, max_retained_bytes)");
	if (make_post(c, p, pub, &post) < 0)
		return RC_UNSPECIFIED;
	if (came_round(b, &post)) {
		r = &nowhere;
		pub->retain = post.retain = false;
	}
	if (pub->qos == 2 && r->selected)
		post.once = exact_key(c->session, pub->id);
	fault = take_with_room(c, r, pub, &post, legs, again);
	post_fini(b, &post);
	return fault;
}

int publish_packet(struct conn *c, struct packet *p)
{
	bool again = c->held_again; /* it was held, and begins where it stopped */
	struct publish pub;
	unsigned legs;
	int r = decode_publish(p->flags, p->body, c->version, &pub);

	c->held_again = false;
	if (r == 0)
		r = check_limits(c, &pub);
	if (r == 0 && pub.have >> PROP_TOPIC_ALIAS & 1)
		r = alias_resolve(c, &pub);
	if (r == 0 && !bounds_take(&c->broker->opts, pub.topic))
		r = RC_BAD_TOPIC;
	if (r == 0 && mount_is(c))
		r = mount_publish(c, &pub);
	if (r != 0)
		return r < 0 ? RC_UNSPECIFIED : r;
	if (c->acks && acks_full(c)) {
		hold_conn(c, &c->broker->store_waiters);
		return DISPATCH_HOLD;
	}
	legs = pub.qos == 2 ? legs_left(c, &pub) : LEG_STORE | LEG_HERE;
	if (!again && legs & LEG_REPEATED && !(legs & (LEG_STORE | LEG_HERE))) {
		acks_answer(c, PKT_PUBREC, pub.id, RC_OK, page_last(c->session));
		return 0;
	}
	if (!again && !rate_allows(c, p->total))
		return DISPATCH_HOLD;
	r = take_new(c, p, &pub, legs, again);
	if (r == DISPATCH_HOLD)
		c->held_again = true;
	else
		count(c, &pub);
	return r;
}
