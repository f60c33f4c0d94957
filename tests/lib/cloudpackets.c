/* SPDX-License-Identifier: MIT */
#include "tests/lib/cloud.h"

#include "base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- towards subscribers -------------------------------------------------------------------------------------- */

static const struct subscription *wants(const struct session *s, struct span topic)
{
	const struct subscription *sub = s->subscriptions;

	while (sub && !topic_matches(sub->filter, strlen(sub->filter), (const char *)topic.at, topic.len))
		sub = sub->next;
	return sub;
}

void cloud_deliver(struct cloud *c, struct span topic, struct span payload)
{
	char name[65536];

	for (struct conn *n = c->conns; n; n = n->next)
		if (n->connected && n->session && wants(n->session, topic)) {
			wire_make_publish(&n->out, n->version, cloud_text(topic, name, sizeof(name)), payload.at,
				payload.len, 0, false, false, 0);
			cloud_flush_soon(c);
		}
}

static void send_outgoing(struct conn *n, struct outgoing *o)
{
	if (o->released)
		wire_ack(&n->out, PUBREL, o->id, n->version, 0);
	else
		wire_make_publish(&n->out, n->version, o->topic, o->payload, strlen(o->payload), o->qos, o->sent,
			o->retain, o->id);
	o->sent = true;
}

void cloud_publish(struct cloud *c, uint8_t qos, bool retain, const char *topic, const char *payload)
{
	struct span name = {(const uint8_t *)topic, strlen(topic)};

	for (struct session *s = log_sessions(c->log); s; s = s->next) {
		const struct subscription *sub = wants(s, name);
		struct outgoing *o, **last = &s->first;
		struct conn *n = c->conns;

		if (!sub || !(o = calloc(1, sizeof(*o))))
			continue;
		while (*last)
			last = &(*last)->next;
		s->next_id = s->next_id == 65535 ? 1 : (uint16_t)(s->next_id + 1);
		*o = (struct outgoing){.id = s->next_id,
			.qos = qos < sub->qos ? qos : sub->qos,
			.retain = retain,
			.topic = strdup(topic),
			.payload = strdup(payload)};
		*last = o;
		while (n && n->session != s)
			n = n->next;
		if (n)
			send_outgoing(n, o);
	}
	cloud_flush_soon(c);
}

static void outgoing_done(struct conn *n, uint16_t id, bool release)
{
	struct outgoing **at = &n->session->first, *o;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	o = *at;
	if (o && release) {
		o->released = true;
		wire_ack(&n->out, PUBREL, id, n->version, 0);
	} else if (o) {
		*at = o->next;
		free(o->topic);
		free(o->payload);
		free(o);
	}
}

/* --- packets -------------------------------------------------------------------------------------------------- */

static void journal_publish(struct conn *n, char kind, const struct publish *p)
{
	struct log *l = n->cloud->log;

	log_begin(l, kind);
	log_number(l, cloud_wall_ms());
	log_text(l, n->client);
	log_number(l, n->version);
	log_number(l, p->qos);
	log_number(l, p->dup);
	log_number(l, p->retain);
	log_number(l, p->id);
	if (p->props.seq.len)
		log_span(l, p->props.seq);
	else
		log_text(l, "-");
	log_number(l, p->props.late);
	log_span(l, p->topic);
	log_span(l, p->payload);
	log_end(l);
}

static void journal_refusal(struct conn *n, const struct publish *p)
{
	struct log *l = n->cloud->log;

	log_begin(l, 'N');
	log_number(l, cloud_wall_ms());
	log_text(l, n->client);
	log_number(l, n->cloud->puback);
	log_span(l, p->topic);
	log_span(l, p->payload);
	log_end(l);
}

static bool is_named(const char *filter, struct span topic)
{
	return filter[0] && topic_matches(filter, strlen(filter), (const char *)topic.at, topic.len);
}

static int on_publish(struct conn *n, const struct packet *packet)
{
	struct cloud *c = n->cloud;
	struct publish p;
	int r = wire_publish(packet, n->version, &p);
	bool again = r == 0 && p.qos == 2 && session_taken(n->session, p.id);

	if (r < 0 || (p.qos && p.id == 0))
		return -EPROTO;
	if (is_named(c->hang_up_filter, p.topic))
		return -EPERM;
	if (c->puback && is_named(c->puback_filter, p.topic)) {
		journal_refusal(n, &p);
		cloud_answer(n, p.qos == 2 ? PUBREC : PUBACK, p.id, (uint8_t)c->puback);
		return 0;
	}
	journal_publish(n, again ? 'D' : 'P', &p);
	c->messages += !again;
	c->duplicates += again || p.dup;
	if (!again)
		cloud_deliver(c, p.topic, p.payload);
	if (p.qos == 2)
		session_take(n->session, p.id, true);
	if (p.qos == 0 || is_named(c->never_filter, p.topic))
		return 0;
	if (c->lose_acks)
		return -ECONNABORTED;
	if (c->mute) {
		n->unacked++;
		c->overruns += c->receive_maximum && n->unacked > c->receive_maximum;
		return 0;
	}
	cloud_answer(n, p.qos == 1 ? PUBACK : PUBREC, p.id, 0);
	return 0;
}

static int on_pubrel(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;
	uint16_t id = cursor_u16(&c);
	bool known = session_taken(n->session, id);

	session_take(n->session, id, false);
	log_begin(n->cloud->log, 'R');
	log_text(n->cloud->log, n->client);
	log_number(n->cloud->log, id);
	log_end(n->cloud->log);
	if (!n->cloud->mute)
		cloud_answer(n, PUBCOMP, id, known || n->version == 4 ? 0 : 0x92);
	return cursor_ok(&c) ? 0 : -EPROTO;
}

static int on_ack(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;
	uint16_t id = cursor_u16(&c);

	outgoing_done(n, id, packet->type == PUBREC);
	return cursor_ok(&c) ? 0 : -EPROTO;
}

static int on_subscribe(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;
	uint16_t id = cursor_u16(&c);
	struct props ignored = {0};
	struct bytes codes = {0};

	if (n->version == 5)
		wire_props(&c, &ignored);
	while (cursor_ok(&c) && cursor_left(&c) > 0) {
		struct span filter = cursor_span16(&c);
		uint8_t qos = cursor_u8(&c) & 3;
		struct subscription *sub = calloc(1, sizeof(*sub));

		if (!sub)
			abort();
		sub->filter = strndup((const char *)filter.at, filter.len);
		sub->qos = qos;
		sub->next = n->session->subscriptions;
		n->session->subscriptions = sub;
		bytes_u8(&codes, qos);
	}
	bytes_u8(&n->out, (unsigned)SUBACK << 4);
	bytes_varint(&n->out, (n->version == 5 ? 3U : 2U) + codes.len);
	bytes_u16(&n->out, id);
	if (n->version == 5)
		bytes_varint(&n->out, 0);
	bytes_raw(&n->out, codes.at, codes.len);
	bytes_free(&codes);
	return cursor_ok(&c) ? 0 : -EPROTO;
}

static bool unsubscribe(struct session *s, struct span filter)
{
	struct subscription **at = &s->subscriptions, *sub;

	while (*at && (strlen((*at)->filter) != filter.len || memcmp((*at)->filter, filter.at, filter.len) != 0))
		at = &(*at)->next;
	sub = *at;
	if (!sub)
		return false;
	*at = sub->next;
	free(sub->filter);
	free(sub);
	return true;
}

static int on_unsubscribe(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;
	uint16_t id = cursor_u16(&c);
	struct props ignored = {0};
	struct bytes codes = {0};

	if (n->version == 5)
		wire_props(&c, &ignored);
	while (cursor_ok(&c) && cursor_left(&c) > 0)
		bytes_u8(&codes, unsubscribe(n->session, cursor_span16(&c)) ? 0 : 0x11);
	bytes_u8(&n->out, (unsigned)UNSUBACK << 4);
	bytes_varint(&n->out, n->version == 5 ? 3 + codes.len : 2);
	bytes_u16(&n->out, id);
	if (n->version == 5) {
		bytes_varint(&n->out, 0);
		bytes_raw(&n->out, codes.at, codes.len);
	}
	bytes_free(&codes);
	return cursor_ok(&c) ? 0 : -EPROTO;
}

static int on_ping(struct conn *n, const struct packet *packet)
{
	(void)packet;
	n->cloud->pings++;
	wire_empty(&n->out, PINGRESP);
	return 0;
}

static int on_disconnect(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;

	if (cursor_left(&c) == 0 || cursor_u8(&c) != 4) /* 4: disconnect with will */
		n->will.len = 0;
	return -ESHUTDOWN;
}

static void take_over(struct conn *newcomer)
{
	struct conn *n, *next;

	for (n = newcomer->cloud->conns; n; n = next) {
		next = n->next;
		if (n == newcomer || !n->connected || strcmp(n->client, newcomer->client) != 0)
			continue;
		n->persistent = true; /* the session goes on with the newcomer */
		cloud_hang_up(n, "taken over", true);
	}
}

static void journal_connect(struct conn *n, const struct connect *p, bool present)
{
	struct log *l = n->cloud->log;

	log_begin(l, 'C');
	log_number(l, cloud_wall_ms());
	log_text(l, n->client);
	log_number(l, p->version);
	log_number(l, p->clean);
	log_number(l, p->keepalive);
	log_number(l, present);
	log_span(l, p->will_topic);
	log_end(l);
}

static int on_connect(struct conn *n, const struct packet *packet)
{
	struct cloud *c = n->cloud;
	struct connect p;
	struct session *s;
	bool present;

	if (n->connected || wire_connect(packet, &p) < 0)
		return -EPROTO;
	n->version = p.version;
	cloud_text(p.client, n->client, sizeof(n->client));
	if (c->refuse) {
		wire_connack(&n->out, n->version, false, (uint8_t)c->refuse, 0, 0);
		return -ECONNREFUSED;
	}
	if (c->no_welcome)
		return 0;
	take_over(n);
	s = log_find(c->log, n->client);
	present = s && !p.clean && !c->amnesia;
	if (s && !present)
		log_forget(c->log, s);
	n->session = log_session(c->log, n->client);
	n->persistent = p.version == 5 ? p.props.session_expiry > 0 : !p.clean;
	n->connected = true;
	c->connects++;
	if (p.has_will) {
		bytes_raw(&n->will, p.will_topic.at, p.will_topic.len);
		n->will_topic_len = p.will_topic.len;
		bytes_raw(&n->will, p.will_payload.at, p.will_payload.len);
	}
	journal_connect(n, &p, present);
	wire_connack(&n->out, n->version, present, 0, (uint16_t)c->receive_maximum, (uint32_t)c->max_packet);
	for (struct outgoing *o = n->session->first; o; o = o->next)
		send_outgoing(n, o);
	return 0;
}

static int (*const handlers[16])(struct conn *n, const struct packet *p) = {
	[CONNECT] = on_connect,
	[PUBLISH] = on_publish,
	[PUBACK] = on_ack,
	[PUBREC] = on_ack,
	[PUBREL] = on_pubrel,
	[PUBCOMP] = on_ack,
	[SUBSCRIBE] = on_subscribe,
	[UNSUBSCRIBE] = on_unsubscribe,
	[PINGREQ] = on_ping,
	[DISCONNECT] = on_disconnect,
};

int cloud_packet(struct conn *n, const struct packet *p)
{
	return handlers[p->type] ? handlers[p->type](n, p) : -EPROTO;
}
