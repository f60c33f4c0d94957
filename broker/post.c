/* SPDX-License-Identifier: MIT */
#include "broker/post.h"

#include "broker/alias.h"
#include "broker/core.h"
#include "broker/encode.h"
#include "broker/expiry.h"
#include "broker/mount.h"

#include <errno.h>
#include <string.h>

void post_init(struct post *p, struct session *from)
{
	p->msg = NULL;
	p->owns_msg = false;
	p->from = from;
	p->origin = from ? MSG_FROM_CLIENT : MSG_FROM_GATEWAY;
	p->origin_id = from ? from->index : 0;
	p->once = 0;
	p->kept = 0;
	p->unkept = p->durable = p->single = false;
	for (int i = 0; i < POST_LAYOUTS; i++)
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
		.once = p->once,
	});
	p->owns_msg = true;
	return p->msg;
}

void post_fini(struct broker *b, struct post *p)
{
	if (p->kept != 0)
		durable_unkeep(b, p->kept);
	if (p->owns_msg)
		msg_unref(p->msg);
}

/* --- one packet --------------------------------------------------------------------------------------------- */

static bool by_reference(const struct post *p)
{
	return p->payload.len >= POST_BY_REFERENCE;
}

static void count_sent(struct conn *c, size_t payload)
{
	struct broker *b = c->broker;

	c->delivered++;
	b->stats.packets_out++;
	b->stats.publish_out++;
	b->stats.publish_bytes_out += payload;
}

/* At QoS 1, 2 the connection ends: it is sent again on the next, or the session has ended with this one. */
static bool starved(struct conn *c, const struct want *w)
{
	if (w->qos > 0)
		conn_doom(c, RC_UNSPECIFIED);
	return w->qos > 0;
}

/* 0, -EMSGSIZE or -ENOMEM. */
static int make_layout(struct broker *b, struct post *p, struct layout *l, unsigned which, bool v5, uint8_t qos)
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
		return bytes ? -EMSGSIZE : -ENOMEM;
	if (inlined > 0)
		memcpy(bytes + n, p->payload.at, inlined);
	l->bytes = bytes;
	l->len = (uint32_t)(n + inlined);
	l->id_at = bytes[1] & 0x80 ? bytes[2] & 0x80 ? bytes[3] & 0x80 ? 5 : 4 : 3 : 2;
	l->id_at += 2 + (uint32_t)p->topic.len;
	return 0;
}

static void finish_payload(struct conn *c, struct post *p)
{
	struct msg *m = by_reference(p) ? post_msg(c->broker, p) : NULL;

	if (m)
		conn_send_payload(c, m);
	else if (by_reference(p))
		conn_doom(c, RC_OK); /* no words: a packet has begun */
}

/* A packet of its own. false: it does not fit the client, or at QoS 0 no memory. */
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

	if (mount_is(c) && !mount_strip(c, &h))
		return false;
	bytes = broker_scratch(b, SCRATCH_HEAD, encode_publish_room(&h));
	if (!bytes)
		return starved(c, w);
	n = encode_publish_head(bytes, &h);
	if (n == 0 || n + p->payload.len > c->max_packet)
		return false;
	/* told for the first time it makes the packet longer [MQTT-3.1.2-24] */
	if (h.v5 && c->alias_max > 0 && n + p->payload.len + ALIAS_COSTS <= c->max_packet && alias_towards(c, &h))
		n = encode_publish_head(bytes, &h);
	conn_send(c, bytes, n);
	if (by_reference(p))
		finish_payload(c, p);
	else
		conn_send(c, p->payload.at, p->payload.len);
	return true;
}

static bool send_layout(struct conn *c, struct post *p, const struct want *w)
{
	bool v5 = c->version == MQTT_5;
	unsigned which = (v5 ? 2u : 0u) + (w->qos > 0 ? 1u : 0u);
	struct layout *l = &p->layout[which];
	int r = l->bytes ? 0 : make_layout(c->broker, p, l, which, v5, w->qos);

	if (r == -ENOMEM)
		return starved(c, w);
	if (r < 0)
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

bool post_send(struct conn *c, struct post *p, const struct want *w)
{
	bool own = w->dup || mount_is(c) || (c->version == MQTT_5 && (w->id_count > 0 || c->alias_max > 0));

	if (!(own ? send_own(c, p, w) : send_layout(c, p, w)))
		return false;
	count_sent(c, p->payload.len);
	return true;
}
