/* SPDX-License-Identifier: MIT */
#include "bridge/paho_state.h"

#include "base/cursor.h"
#include "base/log.h"
#include "bridge/paho_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNTAKEN_STATUS = 3 };

int paho_post(const struct ticket *t, enum letter_kind kind, uint8_t code, void *ptr)
{
	struct letter l = {kind, t->call, (uint64_t)code << 32 | t->tag, ptr};

	if (atomic_load(&t->paho->live) != t->call || mailbox_post(&t->paho->box, l) != 0) {
		free(ptr);
		return -1;
	}
	return 0;
}

struct ending *paho_ending(const char *what, int number, const char *said)
{
	struct ending *e = calloc(1, sizeof(*e));

	if (e && said)
		snprintf(e->why, sizeof(e->why), "%s: %s", what, said);
	else if (e)
		snprintf(e->why, sizeof(e->why), "%s (%d)", what, number);
	return e;
}

/* The server said so by its code, and perhaps where to go: with a DISCONNECT. Of a CONNACK that refuses, Paho 1.3.12 hands
 * no properties on. */
static struct ending *told(const MQTTProperties *props)
{
	struct ending *e = calloc(1, sizeof(*e));

	if (e && props)
		paho_props_reference(props, e->reference, sizeof(e->reference));
	return e;
}

static void came_up(const struct ticket *t, bool session_present, const MQTTProperties *props)
{
	struct uplink_limits *l = malloc(sizeof(*l));

	if (!session_present && t->paho->o.inbox)
		inbox_forget(t->paho->o.inbox);
	if (l) {
		*l = (struct uplink_limits){.session_present = session_present, .max_qos = 2};
		if (props)
			paho_props_learn(l, props);
	}
	paho_post(t, l ? L_UP : L_DOWN, 0, l);
}

static void on_connected5(void *ctx, MQTTAsync_successData5 *data)
{
	came_up(ctx, data->alt.connect.sessionPresent, &data->properties);
}

static void on_connected(void *ctx, MQTTAsync_successData *data)
{
	came_up(ctx, data->alt.connect.sessionPresent, NULL);
}

static void on_refused5(void *ctx, MQTTAsync_failureData5 *data)
{
	/* The reason of a CONNACK comes as the code; failures of Paho's own are below 0. */
	uint8_t code = data->code >= 0x80 && data->code <= 0xff ? (uint8_t)data->code : (uint8_t)data->reasonCode;

	paho_post(ctx, L_DOWN, code,
		code >= 0x80 ? told(&data->properties) : paho_ending("connect", data->code, data->message));
}

/* A CONNACK of MQTT 3.1.1 has return codes of its own; in version 5's numbers they say the same. */
static uint8_t code_of_return(int code)
{
	static const uint8_t codes[] = {0, 0x84, 0x85, 0x88, 0x86, 0x87};

	return code > 0 && code < (int)sizeof(codes) ? codes[code] : 0;
}

static void on_refused(void *ctx, MQTTAsync_failureData *data)
{
	uint8_t code = code_of_return(data->code);

	paho_post(ctx, L_DOWN, code, code ? NULL : paho_ending("connect", data->code, data->message));
}

static void on_lost(void *ctx, char *cause)
{
	paho_post(ctx, L_DOWN, 0,
		paho_ending("connection lost", 0, cause ? cause : "closed by the other side or silent"));
}

static void on_disconnect_packet(void *ctx, MQTTProperties *props, enum MQTTReasonCodes code)
{
	paho_post(ctx, L_DOWN, (uint8_t)code,
		(uint8_t)code >= 0x80 ? told(props) : paho_ending("disconnected by the server", code, NULL));
}

static void answered(const struct ticket *t, uint8_t code)
{
	bool done = code < 0x80;

	if (t->id != 0)
		done = exact_answered(t->paho->o.exact, t->id, done);
	paho_post(t, done ? L_SETTLED : L_REFUSED, code, NULL);
}

static void on_sent5(void *ctx, MQTTAsync_successData5 *data)
{
	answered(ctx, (uint8_t)data->reasonCode);
}

static void on_sent(void *ctx, MQTTAsync_successData *data)
{
	(void)data;
	answered(ctx, 0);
}

/* The last answer to a message. Those of an earlier call have no callbacks of their own here, and no reason: one that
 * was refused is unknown again, and hears of it when it is sent as new. */
static void on_complete(void *ctx, MQTTAsync_token id)
{
	const struct ticket *t = ctx;

	if (!paho_session_resumed(t->paho->session, (uint16_t)id))
		return;
	exact_answered(t->paho->o.exact, (uint16_t)id, false);
	paho_post(t, L_RESUMED, 0, NULL);
}

/* Only a reason code is the server's answer. Without one the link ended under the parcel, which says so itself. */
static void on_not_sent5(void *ctx, MQTTAsync_failureData5 *data)
{
	if ((uint8_t)data->reasonCode >= 0x80)
		answered(ctx, (uint8_t)data->reasonCode);
}

static void on_subscribed5(void *ctx, MQTTAsync_successData5 *data)
{
	paho_post(ctx, L_SUBSCRIBED, (uint8_t)data->reasonCode, NULL);
}

static void on_not_subscribed5(void *ctx, MQTTAsync_failureData5 *data)
{
	uint8_t code = (uint8_t)data->reasonCode;

	paho_post(ctx, L_SUBSCRIBED, code < 0x80 ? 0x80 : code, NULL);
}

static void on_subscribed(void *ctx, MQTTAsync_successData *data)
{
	paho_post(ctx, L_SUBSCRIBED, data->alt.qos == 0x80 ? 0x80 : 0, NULL);
}

/* UNSUBACK of 3.1.1 has nothing to say. */
static void on_unsubscribed(void *ctx, MQTTAsync_successData *data)
{
	(void)data;
	paho_post(ctx, L_SUBSCRIBED, 0, NULL);
}

static void on_not_subscribed(void *ctx, MQTTAsync_failureData *data)
{
	(void)data;
	paho_post(ctx, L_SUBSCRIBED, 0x80, NULL);
}

static void on_left5(void *ctx, MQTTAsync_successData5 *data)
{
	(void)data;
	paho_post(ctx, L_DOWN, 0, NULL);
}

static void on_left(void *ctx, MQTTAsync_successData *data)
{
	(void)data;
	paho_post(ctx, L_DOWN, 0, NULL);
}

static int on_tls_error(const char *text, size_t len, void *ctx)
{
	paho_post(ctx, L_TLS, 0, span_text((struct span){(const uint8_t *)text, len}));
	return 0;
}

/* During the handshake, so it is the call in progress that is meant. */
void paho_distrusted(void *paho, const char *why)
{
	struct paho *p = paho;
	uint32_t call = atomic_load(&p->live);

	if (call != 0)
		paho_post(&p->tickets[p->o.tags + call % PAHO_CALL_TICKETS], L_DISTRUSTED, 0, strdup(why));
}

void paho_trusted(void *paho)
{
	atomic_store(&((struct paho *)paho)->trusted, true);
}

/* A message that nobody took must not be acknowledged, and Paho does that when its callback returns, whatever it returns:
 * 0 only makes it keep the message in memory and ask again. So this does not return then. */
static void hand_on(struct paho *p, const struct msg *m, uint16_t id)
{
	const struct paho_opts *o = &p->o;
	int r = m ? o->message(o->ctx, m, id) : -ENOMEM;

	if (r >= 0 || (m && m->qos == 0))
		return;
	log_warn("upstream=%s inbound=\"%s\" could not be handed on: %s; the process ends, so that it is not "
		 "acknowledged "
		 "and comes again",
		o->opts->head.name, m ? msg_topic(m) : "", strerror(-r));
	_exit(UNTAKEN_STATUS);
}

/* At QoS 2 with 3.1.1 this comes with PUBREL only, when the message was long promised (PUBREC): it was taken before that,
 * by on_received(). */
static int on_message(void *ctx, char *topic, int topic_len, MQTTAsync_message *m)
{
	const struct ticket *t = ctx;
	struct paho *p = t->paho;
	struct msg *mine;

	if (m->qos < 2 || !p->session || p->o.opts->version == BRIDGE_V5) {
		mine = paho_message(topic, topic_len, m);
		hand_on(p, mine, (uint16_t)m->msgid);
		msg_unref(mine);
	}
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	return 1;
}

/* A PUBLISH of QoS 2 has come, and has no answer yet. */
static void on_received(void *ctx, const struct paho_received *r)
{
	struct paho *p = ctx;
	MQTTAsync_message m = {.payload = (void *)(uintptr_t)r->payload.at,
		.payloadlen = (int)r->payload.len,
		.qos = 2,
		.retained = r->retain};
	struct msg *mine;

	if (p->o.opts->version == BRIDGE_V5)
		return;
	mine = paho_message((const char *)r->topic.at, (int)r->topic.len, &m);
	hand_on(p, mine, r->id);
	msg_unref(mine);
}

/* --- what hears what ---------------------------------------------------------------------------------------------- */

int paho_hear_handle(struct paho *p, struct ticket *t)
{
	if (p->session)
		paho_session_hear(p->session, on_received, p);
	if (MQTTAsync_setCallbacks(p->handle, t, on_lost, on_message, p->session ? on_complete : NULL) !=
			MQTTASYNC_SUCCESS ||
		MQTTAsync_setDisconnected(p->handle, t, on_disconnect_packet) != MQTTASYNC_SUCCESS)
		return -EINVAL;
	return 0;
}

void paho_hear_connect(struct paho_connect *c, bool v5, struct ticket *t)
{
	c->o.context = t;
	if (v5) {
		c->o.onSuccess5 = on_connected5;
		c->o.onFailure5 = on_refused5;
	} else {
		c->o.onSuccess = on_connected;
		c->o.onFailure = on_refused;
	}
	c->ssl.ssl_error_cb = on_tls_error;
	c->ssl.ssl_error_context = t;
}

void paho_hear_publish(MQTTAsync_responseOptions *o, bool v5)
{
	if (v5) {
		o->onSuccess5 = on_sent5;
		o->onFailure5 = on_not_sent5;
	} else {
		o->onSuccess = on_sent;
	}
}

void paho_hear_subscribe(MQTTAsync_responseOptions *o, bool v5)
{
	if (v5) {
		o->onSuccess5 = on_subscribed5;
		o->onFailure5 = on_not_subscribed5;
	} else {
		o->onSuccess = on_subscribed;
		o->onFailure = on_not_subscribed;
	}
}

void paho_hear_unsubscribe(MQTTAsync_responseOptions *o, bool v5)
{
	if (v5) {
		o->onSuccess5 = on_subscribed5;
		o->onFailure5 = on_not_subscribed5;
	} else {
		o->onSuccess = on_unsubscribed;
		o->onFailure = on_not_subscribed;
	}
}

void paho_hear_leave(MQTTAsync_disconnectOptions *o, bool v5)
{
	if (v5)
		o->onSuccess5 = on_left5;
	else
		o->onSuccess = on_left;
}
