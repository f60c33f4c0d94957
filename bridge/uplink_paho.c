/* SPDX-License-Identifier: MIT */
/* Every callback of Paho runs on one of its two threads with its lock held, so all that a callback does is to post a
 * letter; the loop thread takes letters and turns them into events. One is different: on_message() waits until the
 * message is taken, since its return is what Paho acknowledges. Nothing of ours is locked around a call of Paho's.
 *
 * `live` is the number of the call in progress, 0 between calls. Letters carry the number of their call; those of a
 * call that was hung up are dropped. A ticket is what Paho hands back as context: one for each tag, and a few for the
 * calls themselves, used in turn. Destroying a handle waits for callbacks in progress, so a ticket is never rewritten
 * under one. */
#include "bridge/uplink_paho.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "bridge/address.h"
#include "bridge/paho_connect.h"
#include "bridge/paho_message.h"
#include "bridge/paho_props.h"
#include "bridge/paho_session.h"
#include "bridge/paho_trust.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CALL_TICKETS = 8,
	UNTAKEN_STATUS = 3,
	TEXT_MAX = PAHO_WHY,
	LEAVE_TIMEOUT_MS = 1000,
};

enum letter_kind { L_UP, L_DOWN, L_SETTLED, L_REFUSED, L_SUBSCRIBED, L_RESUMED, L_TLS, L_DISTRUSTED };

struct ticket {
	struct paho *paho;
	uint32_t call, tag;
	uint16_t id; /* of a parcel at QoS 2; 0: another */
};

struct paho {
	struct uplink base;
	struct paho_opts o;
	struct mailbox box;
	MQTTAsync handle; /* NULL between calls */
	uint32_t calls;
	atomic_uint live;
	struct paho_session *session; /* NULL: no QoS 2 */
	struct ticket *tickets;       /* tags, then CALL_TICKETS */
	struct paho_trust *trust;
	bool tls;                /* this call is encrypted */
	bool distrusted;         /* tls_text says why the server's certificate was refused */
	char tls_text[TEXT_MAX]; /* what OpenSSL said of this call */
	MQTTProperty props[PAHO_PROPS_MAX];
};

static struct paho *of(struct uplink *u)
{
	return (struct paho *)u; /* base is the first member */
}

/* --- callbacks: on Paho's threads ------------------------------------------------------------------------------- */

static int post(const struct ticket *t, enum letter_kind kind, uint8_t code, void *ptr)
{
	struct letter l = {kind, t->call, (uint64_t)code << 32 | t->tag, ptr};

	if (atomic_load(&t->paho->live) != t->call || mailbox_post(&t->paho->box, l) != 0) {
		free(ptr);
		return -1;
	}
	return 0;
}

static char *text_of(const char *what, int code, const char *said)
{
	char *text = malloc(TEXT_MAX);

	if (text && said)
		snprintf(text, TEXT_MAX, "%s: %s", what, said);
	else if (text)
		snprintf(text, TEXT_MAX, "%s (%d)", what, code);
	return text;
}

static void came_up(const struct ticket *t, bool session_present, const MQTTProperties *props)
{
	struct uplink_limits *l = malloc(sizeof(*l));

	if (l) {
		*l = (struct uplink_limits){.session_present = session_present, .max_qos = 2};
		if (props)
			paho_props_learn(l, props);
	}
	post(t, l ? L_UP : L_DOWN, 0, l);
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

	post(ctx, L_DOWN, code, code >= 0x80 ? NULL : text_of("connect", data->code, data->message));
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

	post(ctx, L_DOWN, code, code ? NULL : text_of("connect", data->code, data->message));
}

static void on_lost(void *ctx, char *cause)
{
	post(ctx, L_DOWN, 0, text_of("connection lost", 0, cause ? cause : "closed by the other side or silent"));
}

static void on_disconnect_packet(void *ctx, MQTTProperties *props, enum MQTTReasonCodes code)
{
	(void)props;
	post(ctx, L_DOWN, (uint8_t)code,
		(uint8_t)code >= 0x80 ? NULL : text_of("disconnected by the server", code, NULL));
}

static void answered(const struct ticket *t, uint8_t code)
{
	bool done = code < 0x80;

	if (t->id != 0)
		done = exact_answered(t->paho->o.exact, t->id, done);
	post(t, done ? L_SETTLED : L_REFUSED, code, NULL);
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
	post(t, L_RESUMED, 0, NULL);
}

/* Only a reason code is the server's answer. Without one the link ended under the parcel, which says so itself. */
static void on_not_sent5(void *ctx, MQTTAsync_failureData5 *data)
{
	if ((uint8_t)data->reasonCode >= 0x80)
		answered(ctx, (uint8_t)data->reasonCode);
}

static void on_subscribed5(void *ctx, MQTTAsync_successData5 *data)
{
	post(ctx, L_SUBSCRIBED, (uint8_t)data->reasonCode, NULL);
}

static void on_not_subscribed5(void *ctx, MQTTAsync_failureData5 *data)
{
	uint8_t code = (uint8_t)data->reasonCode;

	post(ctx, L_SUBSCRIBED, code < 0x80 ? 0x80 : code, NULL);
}

static void on_subscribed(void *ctx, MQTTAsync_successData *data)
{
	post(ctx, L_SUBSCRIBED, data->alt.qos == 0x80 ? 0x80 : 0, NULL);
}

static void on_not_subscribed(void *ctx, MQTTAsync_failureData *data)
{
	(void)data;
	post(ctx, L_SUBSCRIBED, 0x80, NULL);
}

static void on_left5(void *ctx, MQTTAsync_successData5 *data)
{
	(void)data;
	post(ctx, L_DOWN, 0, NULL);
}

static void on_left(void *ctx, MQTTAsync_successData *data)
{
	(void)data;
	post(ctx, L_DOWN, 0, NULL);
}

static int on_tls_error(const char *text, size_t len, void *ctx)
{
	post(ctx, L_TLS, 0, span_text((struct span){(const uint8_t *)text, len}));
	return 0;
}

/* During the handshake, so it is the call in progress that is meant. */
static void on_distrusted(void *ctx, const char *why)
{
	struct paho *p = ctx;
	uint32_t call = atomic_load(&p->live);

	if (call != 0)
		post(&p->tickets[p->o.tags + call % CALL_TICKETS], L_DISTRUSTED, 0, strdup(why));
}

/* Paho sends PUBACK or PUBREC when this returns, whatever it returns: 0 only makes it keep the message in memory and
 * ask again. A message that nobody took must therefore not let us return. */
static int on_message(void *ctx, char *topic, int topic_len, MQTTAsync_message *m)
{
	const struct ticket *t = ctx;
	const struct paho_opts *o = &t->paho->o;
	struct msg *mine = paho_message(topic, topic_len, m);
	int r = mine ? o->message(o->ctx, mine) : -ENOMEM;

	msg_unref(mine);
	if (r < 0 && m->qos > 0) {
		log_warn("upstream=%s inbound=\"%s\" could not be handed on: %s; the process ends, so that it is not "
			 "acknowledged and comes again",
			o->opts->head.name, topic, strerror(-r));
		_exit(UNTAKEN_STATUS);
	}
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	return 1;
}

/* --- letters to events: on the loop thread ----------------------------------------------------------------------- */

static void deliver_down(struct paho *p, uint8_t code, const char *text)
{
	char whole[2 * TEXT_MAX];
	struct uplink_event e = {.kind = UPLINK_DOWN, .code = code, .text = text ? whole : NULL};

	if (p->tls_text[0]) {
		snprintf(whole, sizeof(whole), "tls: %s", p->tls_text);
		e.text = whole;
	} else if (text) {
		snprintf(whole, sizeof(whole), "%s%s", text, p->tls ? paho_connect_hint(p->o.opts, text) : "");
	}
	p->base.ops->hang_up(&p->base);
	p->base.event(p->base.ctx, &e);
}

static void deliver(struct paho *p, const struct letter *l)
{
	static const enum uplink_event_kind kinds[] = {
		[L_SETTLED] = UPLINK_SETTLED,
		[L_REFUSED] = UPLINK_REFUSED,
		[L_SUBSCRIBED] = UPLINK_SUBSCRIBED,
		[L_RESUMED] = UPLINK_RESUMED,
	};
	struct uplink_event e = {.tag = (uint32_t)l->val, .code = (uint8_t)(l->val >> 32)};

	switch ((enum letter_kind)l->kind) {
	case L_UP:
		e.kind = UPLINK_UP;
		e.limits = *(const struct uplink_limits *)l->ptr;
		p->base.event(p->base.ctx, &e);
		break;
	case L_DOWN: deliver_down(p, e.code, l->ptr); break;
	case L_DISTRUSTED:
		if (l->ptr)
			snprintf(p->tls_text, sizeof(p->tls_text), "%s", (const char *)l->ptr);
		p->distrusted = true;
		break;
	case L_TLS: /* OpenSSL says of what was distrusted only that it was */
		if (l->ptr && !p->distrusted)
			paho_connect_reason(p->tls_text, sizeof(p->tls_text), l->ptr);
		break;
	case L_SETTLED:
	case L_REFUSED:
	case L_SUBSCRIBED:
	case L_RESUMED:
		e.kind = kinds[l->kind];
		p->base.event(p->base.ctx, &e);
		break;
	}
}

bool paho_deliver(struct paho *p)
{
	struct letter letters[256];
	size_t n = mailbox_take(&p->box, letters, 256);

	for (size_t i = 0; i < n; i++) {
		if (letters[i].num == atomic_load(&p->live))
			deliver(p, &letters[i]);
		free(letters[i].ptr);
	}
	return n == 256;
}

/* --- calling ------------------------------------------------------------------------------------------------------ */

static void set_callbacks(struct paho_connect *c, bool v5, struct ticket *t)
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

static int make_handle(struct paho *p, const char *uri, struct ticket *t)
{
	MQTTAsync_createOptions co = MQTTAsync_createOptions_initializer5;

	co.MQTTVersion = p->o.opts->version;
	co.sendWhileDisconnected = 0;
	co.maxBufferedMessages = (int)p->o.tags + 16;
	co.persistQoS0 = 0;
	if (MQTTAsync_createWithOptions(&p->handle, uri, p->o.client_id,
		    p->session ? MQTTCLIENT_PERSISTENCE_USER : MQTTCLIENT_PERSISTENCE_NONE,
		    p->session ? paho_session_callbacks(p->session) : NULL, &co) != MQTTASYNC_SUCCESS) {
		p->handle = NULL;
		return -EINVAL;
	}
	if (MQTTAsync_setCallbacks(p->handle, t, on_lost, on_message, p->session ? on_complete : NULL) !=
			MQTTASYNC_SUCCESS ||
		MQTTAsync_setDisconnected(p->handle, t, on_disconnect_packet) != MQTTASYNC_SUCCESS)
		return -EINVAL;
	return 0;
}

static void hang_up(struct uplink *u)
{
	struct paho *p = of(u);

	atomic_store(&p->live, 0);
	if (p->handle)
		MQTTAsync_destroy(&p->handle); /* onFailure of all in flight: those find no live call */
	p->handle = NULL;
	if (p->session)
		paho_session_clear(p->session);
}

static int hold(struct uplink *u, const struct uplink_held *held)
{
	return paho_session_hold(of(u)->session, held);
}

static int dial(struct uplink *u, const struct uplink_call *call)
{
	struct paho *p = of(u);
	uint32_t number = ++p->calls ? p->calls : ++p->calls; /* never 0 */
	struct ticket *t = &p->tickets[p->o.tags + number % CALL_TICKETS];
	struct paho_connect *c = calloc(1, sizeof(*c));
	char uri[512], host[256], why[TEXT_MAX];
	struct token_facts facts = {host, p->o.client_id, clock_wall_ms(&clock_system) / 1000};
	bool tls = false;
	int r = c ? 0 : -ENOMEM;

	*t = (struct ticket){p, number, 0, 0};
	p->tls_text[0] = 0;
	p->distrusted = false;
	if (r == 0)
		r = address_uri(call->address, uri, sizeof(uri), &tls);
	if (r == 0 && !address_host(call->address, host, sizeof(host)))
		r = -EINVAL;
	if (r == 0)
		r = make_handle(p, uri, t);
	if (r == 0) {
		paho_connect_options(c, p->o.opts, call);
		p->tls = tls;
		atomic_store(&p->live, number);
		r = paho_connect_credentials(c, p->o.opts, tls, &facts, why);
		set_callbacks(c, p->o.opts->version == BRIDGE_V5, t);
		if (r != 0)
			r = post(t, L_DOWN, 0, strdup(why)) < 0 ? -ENOBUFS : 0;
		else
			r = MQTTAsync_connect(p->handle, &c->o) == MQTTASYNC_SUCCESS ? 0 : -ECONNREFUSED;
	}
	if (c)
		explicit_bzero(c->password, sizeof(c->password));
	free(c);
	if (r < 0)
		hang_up(u);
	return r;
}

/* --- parcels ------------------------------------------------------------------------------------------------------ */

static struct ticket *ticket(struct paho *p, uint32_t tag)
{
	struct ticket *t = &p->tickets[tag];

	*t = (struct ticket){p, p->calls, tag, 0};
	return t;
}

/* Paho's answers to a send, as results. */
static int result(int rc)
{
	switch (rc) {
	case MQTTASYNC_SUCCESS: return 0;
	case MQTTASYNC_MAX_MESSAGES_INFLIGHT:
	case MQTTASYNC_MAX_BUFFERED_MESSAGES:
	case MQTTASYNC_NO_MORE_MSGIDS: return UPLINK_BUSY;
	default: return -ENOTCONN;
	}
}

/* Paho knows of the end before we do: the letter that says why is in the mailbox already, or this one serves. */
static int sent(struct paho *p, int rc)
{
	const struct ticket *t = &p->tickets[p->o.tags + p->calls % CALL_TICKETS];

	if (rc != MQTTASYNC_DISCONNECTED)
		return result(rc);
	post(t, L_DOWN, 0, text_of("connection lost", 0, "noticed while sending"));
	return UPLINK_BUSY;
}

static int send_message(
	struct paho *p, const struct parcel *parcel, const MQTTAsync_message *m, MQTTAsync_responseOptions *ro)
{
	struct ticket *t = ro->context;
	int rc;

	if (parcel->qos < 2 || !p->session)
		return MQTTAsync_sendMessage(p->handle, parcel->topic, m, ro);
	paho_session_sending(p->session, parcel, &t->id);
	rc = MQTTAsync_sendMessage(p->handle, parcel->topic, m, ro);
	paho_session_sent(p->session, rc == MQTTASYNC_SUCCESS);
	return rc;
}

static int publish(struct uplink *u, uint32_t tag, const struct parcel *parcel)
{
	struct paho *p = of(u);
	MQTTAsync_message m = MQTTAsync_message_initializer;
	MQTTAsync_responseOptions ro = MQTTAsync_responseOptions_initializer;

	if (!p->handle)
		return -ENOTCONN;
	m.payload = (void *)(uintptr_t)parcel->payload;
	m.payloadlen = (int)parcel->payload_len;
	m.qos = parcel->qos;
	m.retained = parcel->retain;
	ro.context = ticket(p, tag);
	if (p->o.opts->version == BRIDGE_V5) {
		ro.onSuccess5 = on_sent5;
		ro.onFailure5 = on_not_sent5;
		paho_props_fill(&m.properties, p->props, parcel); /* copied by Paho */
	} else {
		ro.onSuccess = on_sent;
	}
	return sent(p, send_message(p, parcel, &m, &ro));
}

static int subscribe(struct uplink *u, uint32_t tag, const char *filter, int qos)
{
	struct paho *p = of(u);
	MQTTAsync_responseOptions ro = MQTTAsync_responseOptions_initializer;

	if (!p->handle)
		return -ENOTCONN;
	ro.context = ticket(p, tag);
	if (p->o.opts->version == BRIDGE_V5) {
		ro.onSuccess5 = on_subscribed5;
		ro.onFailure5 = on_not_subscribed5;
		ro.subscribeOptions.noLocal = 1; /* what went up does not come down again */
		ro.subscribeOptions.retainAsPublished = 1;
	} else {
		ro.onSuccess = on_subscribed;
		ro.onFailure = on_not_subscribed;
	}
	return result(MQTTAsync_subscribe(p->handle, filter, qos, &ro));
}

static void leave(struct uplink *u)
{
	struct paho *p = of(u);
	MQTTAsync_disconnectOptions v5 = MQTTAsync_disconnectOptions_initializer5;
	MQTTAsync_disconnectOptions v311 = MQTTAsync_disconnectOptions_initializer;
	MQTTAsync_disconnectOptions o = p->o.opts->version == BRIDGE_V5 ? v5 : v311;

	if (!p->handle)
		return;
	o.timeout = LEAVE_TIMEOUT_MS;
	o.context = &p->tickets[p->o.tags + p->calls % CALL_TICKETS];
	if (p->o.opts->version == BRIDGE_V5)
		o.onSuccess5 = on_left5;
	else
		o.onSuccess = on_left;
	if (MQTTAsync_disconnect(p->handle, &o) != MQTTASYNC_SUCCESS)
		post(o.context, L_DOWN, 0, NULL);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static const struct uplink_ops ops = {
	.hold = hold,
	.dial = dial,
	.publish = publish,
	.subscribe = subscribe,
	.leave = leave,
	.hang_up = hang_up,
};

int paho_new(struct paho **out, const struct paho_opts *opts)
{
	struct paho *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return -ENOMEM;
	/* Paho's threads are detached: OpenSSL must not clean up under them when the process ends. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		r = -ENOMEM;
	p->base.ops = &ops;
	p->o = *opts;
	if (r == 0)
		r = paho_trust_new(&p->trust, &(struct paho_trust_opts){&opts->opts->tls, on_distrusted, p});
	p->tickets = calloc(opts->tags + CALL_TICKETS, sizeof(*p->tickets));
	if (!p->tickets)
		r = -ENOMEM;
	if (r == 0 && opts->exact)
		r = paho_session_new(
			&p->session, opts->exact, (enum bridge_version)opts->opts->version, MQTTAsync_malloc);
	/* A tag has one answer at most; the rest is for the call itself. */
	if (r == 0)
		r = mailbox_init(&p->box, opts->tags + 64);
	if (r < 0) {
		paho_free(p);
		return r;
	}
	*out = p;
	return 0;
}

void paho_free(struct paho *p)
{
	struct letter l;

	if (!p)
		return;
	hang_up(&p->base);
	paho_trust_free(p->trust);
	while (p->box.ring && mailbox_take(&p->box, &l, 1) == 1)
		free(l.ptr);
	mailbox_fini(&p->box);
	paho_session_free(p->session);
	free(p->tickets);
	free(p);
}

struct uplink *paho_uplink(struct paho *p)
{
	return &p->base;
}

int paho_fd(const struct paho *p)
{
	return mailbox_fd(&p->box);
}
