/* SPDX-License-Identifier: MIT */
/* The packet-id state machines: PUBACK, PUBREC and PUBCOMP move a delivery of ours, PUBREL ends a publish of the
 * client's. An unknown id is answered, never a reason to close. */
#include "broker/delivery.h"
#include "broker/dispatch.h"
#include "broker/encode.h"
#include "broker/hold.h"
#include "broker/promise.h"

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
		conn_dirty(c);
	}
}

static int puback(struct conn *c, const struct answer *a)
{
	struct delivery *d = window_find(&c->session->window, a->id);

	if (d && (d->flags & DELIVERY_QOS) == 1)
		done(c, d);
	return 0;
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
	d->state = DELIVERY_RELEASED;
	delivery_release(c->session, d);
	send(c, PKT_PUBREL, a->id, RC_OK);
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
	uint64_t ticket;

	if (!idset_has(&s->received, a->id)) {
		promise_answer(c, PKT_PUBCOMP, a->id, RC_ID_NOT_FOUND, 0);
		return 0;
	}
	if (exact_release(s, a->id, &ticket) == PERSIST_BUSY) {
		hold_conn(c, &c->broker->store_waiters);
		return DISPATCH_HOLD;
	}
	if (ticket > s->last_ticket)
		s->last_ticket = ticket;
	idset_drop(&s->received, a->id);
	promise_answer(c, PKT_PUBCOMP, a->id, RC_OK, s->last_ticket);
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
