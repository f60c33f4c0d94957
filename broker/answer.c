/* SPDX-License-Identifier: MIT */
/* The packet-id state machines: PUBACK, PUBREC and PUBCOMP move a delivery of ours, PUBREL ends a publish of the
 * client's. An unknown id is answered, never a reason to close. */
#include "broker/acks.h"
#include "broker/delivery.h"
#include "broker/dispatch.h"
#include "broker/encode.h"
#include "broker/hold.h"
#include "broker/mark.h"
#include "broker/page.h"

static void send(struct conn *c, uint8_t type, uint16_t id, uint8_t reason)
{
	uint8_t bytes[ENCODE_ANSWER_MAX];

	conn_send(c, bytes, encode_answer(bytes, type, id, reason, c->version == MQTT_5));
	c->broker->stats.packets_out++;
}

static void done(struct conn *c, struct delivery *d)
{
	struct session *s = c->session;

	delivery_done(s, d);
	if (delivery_waiting(s)) {
		c->pump = true;
		turn_dirty(c);
	}
}

static int puback(struct conn *c, const struct answer *a)
{
	struct delivery *d = window_find(&c->session->window, a->id);

	if (d && (d->flags & DELIVERY_QOS) == 1)
		done(c, d);
	return 0;
}

/* PUBREL goes when the ledger has that it went: a restart must not send the message again after it. */
static void release(struct conn *c, struct delivery *d)
{
	struct session *s = c->session;
	struct mark *m = s->window.marked ? window_mark(&s->window, d) : NULL;
	bool kept = m && m->number != 0, first = d->state != DELIVERY_RELEASED;

	d->state = DELIVERY_RELEASED;
	if (kept && first)
		mark_released(s, d, m);
	delivery_release(s, d);
	if (kept)
		delivery_flight(s, PKT_PUBREL, d->id);
	else
		send(c, PKT_PUBREL, d->id, RC_OK);
}

static int pubrec(struct conn *c, const struct answer *a)
{
	struct delivery *d = window_find(&c->session->window, a->id);

	if (!d || (d->flags & DELIVERY_QOS) != 2) {
		if (a->reason < 0x80)
			send(c, PKT_PUBREL, a->id, RC_ID_NOT_FOUND); /* 3.6.2.1 */
		return 0;
	}
	if (a->reason >= 0x80) { /* refused: the place is free again */
		done(c, d);
		return 0;
	}
	release(c, d);
	return 0;
}

static int pubcomp(struct conn *c, const struct answer *a)
{
	struct delivery *d = window_find(&c->session->window, a->id);

	if (d && d->state == DELIVERY_RELEASED)
		done(c, d);
	return 0;
}

/* PUBCOMP says that the message is safe, so it waits for the commit of everything before it. */
static int pubrel(struct conn *c, const struct answer *a)
{
	struct session *s = c->session;
	struct tickets t = {0};

	/* Ended already, perhaps a moment ago through an earlier connection: as long as that is not safe, a restart would
	 * know the id again, and the client may use it anew once it hears PUBCOMP. */
	if (!idset_has(&s->received, a->id)) {
		acks_answer(c, PKT_PUBCOMP, a->id, RC_ID_NOT_FOUND, page_last(s));
		return 0;
	}
	if (exact_release(s, a->id, &t.store) == PERSIST_BUSY) {
		hold_conn(c, &c->broker->store_waiters);
		return DISPATCH_HOLD;
	}
	if (page_kept(s)) {
		page_received_done(s, a->id);
		t.ledger = durable_ticket(c->broker);
	}
	idset_drop(&s->received, a->id);
	if (page_published(s, t) < 0)
		return RC_UNSPECIFIED;
	acks_answer(c, PKT_PUBCOMP, a->id, RC_OK, page_last(s));
	return 0;
}

static int (*const step[PKT_TYPES])(struct conn *c, const struct answer *a) = {
	[PKT_PUBACK] = puback,
	[PKT_PUBREC] = pubrec,
	[PKT_PUBREL] = pubrel,
	[PKT_PUBCOMP] = pubcomp,
};

int answer_packet(struct conn *c, struct packet *p)
{
	struct answer a;
	int r = decode_answer(p->type, p->body, c->version, &a);

	return r != 0 ? r : step[p->type](c, &a);
}
