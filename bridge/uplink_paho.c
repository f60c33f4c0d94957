/* SPDX-License-Identifier: MIT */
#include "bridge/uplink_paho.h"

#include "base/clock.h"
#include "base/log.h"
#include "bridge/address.h"
#include "bridge/bridge_bit.h"
#include "bridge/cause.h"
#include "bridge/knock.h"
#include "bridge/paho_state.h"
#include "bridge/preset.h"
#include "bridge/rules.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAVE_TIMEOUT_MS = 1000 };

static struct paho *of(struct uplink *u)
{
	return (struct paho *)u; /* base is the first member */
}

/* --- letters to events: on the loop thread ----------------------------------------------------------------------- */

static void bit_came_up(struct paho *p)
{
	p->up = true;
	if (p->bit != PAHO_BIT_WITHOUT)
		return;
	p->bit = PAHO_BIT_NEVER;
	log_info("upstream=%s does not take the bridge bit; it is not asked again (bridge_bit)", p->o.opts->head.name);
}

static void bit_call_ended(struct paho *p)
{
	if (!p->up && p->bit != PAHO_BIT_NEVER)
		p->bit = bridge_bit_sent() ? PAHO_BIT_WITHOUT : PAHO_BIT_TRY;
	p->up = false;
}

static void deliver_down(struct paho *p, uint8_t code, const struct ending *ending)
{
	const char *text = ending && ending->why[0] ? ending->why : NULL;
	char whole[2 * PAHO_WHY];
	struct uplink_event e = {.kind = UPLINK_DOWN, .code = code, .text = text ? whole : NULL};

	if (!p->up && code == 0x84 && bridge_bit_sent()) {
		e.code = 0;
		text = "it does not take the bridge bit";
		e.text = whole;
	}
	if (ending && ending->reference[0])
		e.reference = ending->reference;
	if (p->tls_text[0]) {
		snprintf(whole, sizeof(whole), "tls: %s", p->tls_text);
		e.text = whole;
	} else if (text) {
		cause_write(whole, sizeof(whole),
			&(struct cause){text, p->host, p->tls, atomic_load(&p->trusted), p->o.opts->tls.cert != NULL});
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
		bit_came_up(p);
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
	return paho_hear_handle(p, t);
}

static void hang_up(struct uplink *u)
{
	struct paho *p = of(u);

	if (p->handle)
		bit_call_ended(p);
	atomic_store(&p->live, 0);
	knock_end(&p->knock);
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

/* Given up a look before the time is over, so that it is found within it. */
static int64_t silence_ms(const struct paho *p, const struct uplink_call *call)
{
	int64_t keep_alive_ms = call->keep_alive_s ? call->keep_alive_s * 1000LL : p->o.opts->keep_alive_ms;

	return keep_alive_ms * 3 / 2 - UPLINK_LOOK_MS;
}

/* A preset's service is known not to have it, but for these. */
static bool wants_bit(const struct paho *p)
{
	const struct bridge_opts *o = p->o.opts;
	bool may = o->preset == PRESET_NONE || o->preset == PRESET_MOSQUITTO || o->preset == PRESET_EMQX;

	return may && o->version == BRIDGE_V311 && o->bridge_bit == BRIDGE_BIT_AUTO && p->bit == PAHO_BIT_TRY &&
	       rules_any_down(o);
}

/* What is remembered of the call before this one. */
static void forget_call(struct paho *p, const struct uplink_call *call)
{
	if (p->o.inbox)
		inbox_dial(p->o.inbox, call->address);
	if (p->o.inbox && (call->wipe || p->o.opts->clean))
		inbox_forget(p->o.inbox);
	p->tls_text[0] = 0;
	p->distrusted = false;
	atomic_store(&p->trusted, false);
}

static int prepare(struct paho *p, const struct uplink_call *call, struct ticket *t)
{
	char uri[512];
	int r = address_uri(call->address, uri, sizeof(uri), &p->tls);

	if (r < 0)
		return r;
	return address_host(call->address, p->host, sizeof(p->host)) ? make_handle(p, uri, t) : -EINVAL;
}

/* Credentials that cannot be had end the call as the server would, with a letter. */
static int call_server(struct paho *p, const struct uplink_call *call, struct ticket *t, struct paho_connect *c)
{
	struct token_facts facts = {p->host, p->o.client_id, clock_wall_ms(&clock_system) / 1000};
	char why[PAHO_WHY];
	int r;

	paho_connect_options(c, p->o.opts, call);
	atomic_store(&p->live, t->call);
	knock_begin(&p->knock, clock_mono_ms(&clock_system), silence_ms(p, call));
	r = paho_connect_credentials(c, p->o.opts, p->tls, &facts, why);
	paho_hear_connect(c, p->o.opts->version == BRIDGE_V5, t);
	bridge_bit_ask(wants_bit(p));
	if (r != 0)
		return paho_post(t, L_DOWN, 0, paho_ending("credentials", 0, why)) < 0 ? -ENOBUFS : 0;
	return MQTTAsync_connect(p->handle, &c->o) == MQTTASYNC_SUCCESS ? 0 : -ECONNREFUSED;
}

static void dispose_options(struct paho_connect *c)
{
	if (!c)
		return;
	explicit_bzero(c->password, sizeof(c->password));
	explicit_bzero(c->proxy, sizeof(c->proxy));
	explicit_bzero(c->tls_proxy, sizeof(c->tls_proxy));
	free(c);
}

static int dial(struct uplink *u, const struct uplink_call *call)
{
	struct paho *p = of(u);
	uint32_t number = ++p->calls ? p->calls : ++p->calls; /* never 0 */
	struct ticket *t = &p->tickets[p->o.tags + number % PAHO_CALL_TICKETS];
	struct paho_connect *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	*t = (struct ticket){p, number, 0, 0};
	forget_call(p, call);
	if (r == 0)
		r = prepare(p, call, t);
	if (r == 0)
		r = call_server(p, call, t, c);
	dispose_options(c);
	if (r < 0)
		hang_up(u);
	return r;
}

static const char *ails(struct uplink *u, int64_t now_ms)
{
	return knock_look(&of(u)->knock, now_ms);
}

/* --- parcels ------------------------------------------------------------------------------------------------------ */

static struct ticket *ticket(struct paho *p, uint32_t tag)
{
	struct ticket *t = &p->tickets[tag];

	/* The status is sent anew before its answer is here, so the ticket may be read at this moment. */
	if (t->call != p->calls)
		*t = (struct ticket){p, p->calls, tag, 0};
	if (t->id != 0)
		t->id = 0;
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
	const struct ticket *t = &p->tickets[p->o.tags + p->calls % PAHO_CALL_TICKETS];

	if (rc != MQTTASYNC_DISCONNECTED)
		return result(rc);
	paho_post(t, L_DOWN, 0, paho_ending("connection lost", 0, "noticed while sending"));
	return UPLINK_BUSY;
}

static int send_message(
	struct paho *p, const struct parcel *parcel, const MQTTAsync_message *m, MQTTAsync_responseOptions *ro)
{
	struct ticket *t = ro->context;
	int rc;

	if (parcel->qos < 2 || !p->o.exact)
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
	paho_hear_publish(&ro, p->o.opts->version == BRIDGE_V5);
	if (p->o.opts->version == BRIDGE_V5)
		paho_props_fill(&m.properties, p->props, parcel); /* copied by Paho */
	return sent(p, send_message(p, parcel, &m, &ro));
}

static int subscribe(struct uplink *u, uint32_t tag, const char *filter, int qos)
{
	struct paho *p = of(u);
	MQTTAsync_responseOptions ro = MQTTAsync_responseOptions_initializer;

	if (!p->handle)
		return -ENOTCONN;
	ro.context = ticket(p, tag);
	paho_hear_subscribe(&ro, p->o.opts->version == BRIDGE_V5);
	if (p->o.opts->version == BRIDGE_V5) {
		ro.subscribeOptions.noLocal = 1; /* what went up does not come down again */
		ro.subscribeOptions.retainAsPublished = 1;
		ro.subscribeOptions.retainHandling = 1; /* retained messages with a new subscription only */
	}
	return result(MQTTAsync_subscribe(p->handle, filter, qos, &ro));
}

static int unsubscribe(struct uplink *u, uint32_t tag, const char *filter)
{
	struct paho *p = of(u);
	MQTTAsync_responseOptions ro = MQTTAsync_responseOptions_initializer;

	if (!p->handle)
		return -ENOTCONN;
	ro.context = ticket(p, tag);
	paho_hear_unsubscribe(&ro, p->o.opts->version == BRIDGE_V5);
	return result(MQTTAsync_unsubscribe(p->handle, filter, &ro));
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
	o.context = &p->tickets[p->o.tags + p->calls % PAHO_CALL_TICKETS];
	paho_hear_leave(&o, p->o.opts->version == BRIDGE_V5);
	if (MQTTAsync_disconnect(p->handle, &o) != MQTTASYNC_SUCCESS)
		paho_post(o.context, L_DOWN, 0, NULL);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static const struct uplink_ops ops = {
	.hold = hold,
	.dial = dial,
	.publish = publish,
	.subscribe = subscribe,
	.unsubscribe = unsubscribe,
	.leave = leave,
	.hang_up = hang_up,
	.ails = ails,
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
	p->knock.fd = -1;
	p->o = *opts;
	if (r == 0)
		r = paho_trust_new(&p->trust,
			&(struct paho_trust_opts){&opts->opts->tls, p->host, paho_distrusted, paho_trusted, p});
	p->tickets = calloc(opts->tags + PAHO_CALL_TICKETS, sizeof(*p->tickets));
	if (!p->tickets)
		r = -ENOMEM;
	if (r == 0 && (opts->exact || opts->inbox))
		r = paho_session_new(&p->session, opts->exact, opts->inbox, (enum bridge_version)opts->opts->version,
			MQTTAsync_malloc);
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
