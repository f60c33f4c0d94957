/* SPDX-License-Identifier: MIT */
#include "broker/dispatch.h"

static int ping(struct conn *c, struct packet *p)
{
	static const uint8_t answer[2] = {PKT_PINGRESP << 4, 0};

	if (p->body.len > 0)
		return RC_MALFORMED;
	conn_send(c, answer, sizeof(answer));
	c->broker->stats.packets_out++;
	return 0;
}

/* [MQTT-3.14.4-3]; a malformed one does not count as one [MQTT-3.14.1-1]. */
static int farewell(struct conn *c, struct packet *p)
{
	struct session *s = c->session;
	struct disconnect d;
	int r = decode_disconnect(p->body, c->version, &d);

	if (r != 0)
		return r;
	if (d.has_expiry) {
		uint32_t most = (uint32_t)(c->broker->opts.max_session_expiry_ms / 1000);

		if (s->expiry_s == 0 && d.expiry_s > 0) /* 3.14.2.2.2 */
			return RC_PROTOCOL;
		s->expiry_s = most > 0 && d.expiry_s > most ? most : d.expiry_s;
	}
	conn_close(c, RC_OK, d.reason != RC_OK);
	return DISPATCH_GONE;
}

/* No CONNECT got through with an authentication method, so there is nothing to continue. */
static int auth(struct conn *c, struct packet *p)
{
	int r = c->version == MQTT_5 ? decode_auth(p->body) : RC_MALFORMED;

	return r != 0 ? r : RC_PROTOCOL;
}

/* An empty place is a protocol error of the client: the connection closes. */
static int (*const handler[CONN_STATES][PKT_TYPES])(struct conn *c, struct packet *p) = {
	[CONN_NEW] = {[PKT_CONNECT] = connect_packet},
	[CONN_LIVE] =
		{
			[PKT_PUBLISH] = publish_packet,
			[PKT_PUBACK] = answer_packet,
			[PKT_PUBREC] = answer_packet,
			[PKT_PUBREL] = answer_packet,
			[PKT_PUBCOMP] = answer_packet,
			[PKT_SUBSCRIBE] = subscribe_packet,
			[PKT_UNSUBSCRIBE] = unsubscribe_packet,
			[PKT_PINGREQ] = ping,
			[PKT_DISCONNECT] = farewell,
			[PKT_AUTH] = auth,
		},
};

int dispatch(struct conn *c, struct packet *p)
{
	if (p->type == 0 || p->type >= PKT_TYPES || !decode_flags_ok(p->type, p->flags, c->version))
		return RC_MALFORMED;
	if (!handler[c->state][p->type])
		return RC_PROTOCOL;
	if (c->state == CONN_LIVE && !c->held_again && turn_holds(c))
		return DISPATCH_HOLD;
	return handler[c->state][p->type](c, p);
}
