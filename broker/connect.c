/* SPDX-License-Identifier: MIT */
/* CONNECT: everything that could refuse it is looked at before anything is changed, so that a refused client has no
 * effect on the running session of its name [MQTT-3.1.4-2]. */
#include "base/log.h"
#include "base/utf8.h"
#include "broker/acks.h"
#include "broker/alias.h"
#include "broker/auth.h"
#include "broker/bounds.h"
#include "broker/delivery.h"
#include "broker/dispatch.h"
#include "broker/door.h"
#include "broker/encode.h"
#include "broker/mount.h"
#include "broker/page.h"
#include "broker/ration.h"
#include "broker/refusal.h"
#include "broker/unrest.h"
#include "broker/will.h"
#include "broker/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- refusing ----------------------------------------------------------------------------------------------- */

static uint8_t connack3_of(uint8_t reason)
{
	switch (reason) {
	case RC_BAD_VERSION: return CONNACK3_VERSION;
	case RC_BAD_CLIENT_ID: return CONNACK3_CLIENT_ID;
	case RC_BAD_LOGIN: return CONNACK3_LOGIN;
	case RC_NOT_AUTHORIZED: return CONNACK3_NOT_AUTHORIZED;
	case RC_UNAVAILABLE:
	case RC_BUSY:
	case RC_QUOTA: return CONNACK3_UNAVAILABLE;
	default: return 0; /* nothing to say: the connection just closes */
	}
}

static bool wants_words(const struct connect *m)
{
	return m->version == MQTT_5 && props_num(&m->props, PROP_REQUEST_PROBLEM_INFO, 1) == 1;
}

/* A version that we do not know is answered in the words of 3.1.1, unless it is above 5. words: for those whose name was
 * proven, and who may know. */
static int refuse(struct conn *c, const struct connect *m, uint8_t reason, const struct words *words)
{
	bool v5 = m->version == MQTT_5 || (m->version > MQTT_5 && m->version < 0x80 && reason == RC_BAD_VERSION);
	struct connack a = {.v5 = v5, .code = v5 ? reason : connack3_of(reason)};
	uint8_t bytes[ENCODE_CONNACK_MAX];
	size_t n;

	if (words && wants_words(m))
		a.words = words_span(words);
	n = encode_connack(bytes, &a);
	if (a.words.len > 0 && n > props_num(&m->props, PROP_MAXIMUM_PACKET_SIZE, UINT32_MAX)) {
		a.words.len = 0;
		n = encode_connack(bytes, &a);
	}
	c->broker->stats.refused++;
	if (a.code != 0)
		conn_send(c, bytes, n);
	conn_close(c, reason, false);
	return DISPATCH_GONE;
}

static int check(const struct conn *c, const struct connect *m)
{
	const struct broker_opts *o = &c->broker->opts;

	if (props_has(&m->props, PROP_AUTH_METHOD)) /* [MQTT-4.12.0-1] */
		return RC_BAD_AUTH_METHOD;
	if (!door_takes(c->door, m->version))
		return RC_BAD_VERSION;
	if (m->client_id.len == 0 && (!o->allow_empty_client_id || m->version == MQTT_31))
		return RC_BAD_CLIENT_ID;
	if (m->client_id.len == 0 && m->version == MQTT_311 && !m->clean) /* 3.1.1 [MQTT-3.1.3-8] */
		return RC_BAD_CLIENT_ID;
	if (m->will && !bounds_take(o, m->will_topic))
		return RC_BAD_TOPIC;
	if (m->will && m->will_qos > o->max_qos)
		return RC_NO_QOS;
	if (m->will && m->will_retain && !o->retain_available)
		return RC_NO_RETAIN;
	if (m->will && o->check_payload_format && props_num(&m->will_props, PROP_PAYLOAD_FORMAT, 0) == 1 &&
		!utf8_ok(m->will_payload.at, m->will_payload.len))
		return RC_BAD_PAYLOAD;
	return 0;
}

/* The session of that name. One that is away is as if nothing of it had waited for its time; NULL: none, or it is
 * over. */
static struct session *known(struct broker *b, struct span id)
{
	struct session *s = sessions_find(&b->sessions, id.at, id.len);

	return s && (s->conn || leave_settle(s)) ? s : NULL;
}

/* Whose session it would be. It stays with the user that began it: a client id is easy to guess, and with it would come
 * what is queued for somebody else. */
static int check_owner(const struct conn *c, const struct connect *m, const char *user, struct words *words)
{
	const struct session *s = known(c->broker, m->client_id);
	size_t len = strlen(user);
	bool same = m->client_id.len == len && memcmp(m->client_id.at, user, len) == 0;

	if (c->door && c->door->client_id == BROKER_CLIENT_ID_USER && len > 0 && !same) {
		words_say(words, "the client id must be the user name here, %.100s", user);
		return RC_BAD_CLIENT_ID;
	}
	if (!s || !s->user || strcmp(s->user, user) == 0)
		return 0;
	words_say(words, "the session of this client id belongs to another user until it ends; take another client id");
	return RC_NOT_AUTHORIZED;
}

static int check_will(const struct conn *c, const struct connect *m, const char *user, struct words *words)
{
	struct acl_who who = {user[0] != '\0' ? user : NULL, (const char *)m->client_id.at, m->client_id.len,
		rights_place(c->broker, c->door)};
	const char *topic = (const char *)m->will_topic.at;

	if (!m->will || (!bounds_reserve(m->will_topic) &&
				acl_may(c->broker->acl, &who, BROKER_WRITE, topic, m->will_topic.len, NULL)))
		return 0;
	rights_refused(c->broker, c, &who, BROKER_WRITE, m->will_topic);
	words_deny(words, c, who.user, "leave a will to", m->will_topic);
	return RC_NOT_AUTHORIZED;
}

static int set_owner(struct session *s, const char *user)
{
	char *copy;

	if (user[0] == '\0' || (s->user && strcmp(s->user, user) == 0))
		return 0;
	copy = strdup(user);
	if (!copy)
		return -ENOMEM;
	free(s->user);
	s->user = copy;
	rights_forget(s);
	if (s->broker->acl && s->sub_count > 0) /* its subscriptions are in routes under what it was before */
		subs_invalidate(&s->broker->subs);
	return 0;
}

/* --- how many ----------------------------------------------------------------------------------------------- */

/* Behind a proxy the address is known only now. */
static int check_address(struct conn *c)
{
	struct broker *b = c->broker;
	char text[PEER_ADDRESS_MAX];
	uint32_t key;

	if (!c->door || !c->door->proxy || c->address != 0)
		return 0;
	key = census_key_of_text(b->sessions.seed, peer_address(c, text, sizeof(text)));
	if (!conn_may_come(b, key)) {
		peer_host(c, text, sizeof(text));
		unrest_saw(b, UNREST_CROWD, NULL, (struct span){(const uint8_t *)text, strlen(text)}, "");
		return RC_QUOTA;
	}
	c->address = key;
	return 0;
}

/* A connection that takes the place of another of the same user makes no difference. */
static int check_crowd(const struct conn *c, const struct connect *m, const char *user, struct words *words)
{
	struct broker *b = c->broker;
	const struct session *s = known(b, m->client_id);
	int64_t most = b->opts.max_connections_per_user;

	if (most == 0 || user[0] == '\0' || (s && s->conn && s->conn->counted))
		return 0;
	if (census_count(&b->users, census_key_of_name(b->sessions.seed, user)) < most)
		return 0;
	words_say(words, "%lld connections of this user already (max_connections_per_user)", (long long)most);
	return RC_QUOTA;
}

static void count_user(struct conn *c, const char *user)
{
	static const struct census_terms unbounded;
	struct broker *b = c->broker;

	c->counted = user[0] != '\0' && c->session->user;
	if (c->counted)
		census_enter(&b->users, census_key_of_name(b->sessions.seed, user), &unbounded, broker_now_ms(b));
}

/* --- terms -------------------------------------------------------------------------------------------------- */

static uint32_t expiry_of(const struct broker *b, const struct connect *m)
{
	uint32_t most = (uint32_t)(b->opts.max_session_expiry_ms / 1000), asked;

	if (m->version == MQTT_5)
		asked = props_num(&m->props, PROP_SESSION_EXPIRY, 0);
	else
		asked = m->clean ? 0 : UINT32_MAX;
	return most > 0 && asked > most ? most : asked;
}

static void set_terms(struct conn *c, const struct connect *m)
{
	const struct broker_opts *o = &c->broker->opts;
	uint32_t most_s = (uint32_t)(o->max_keep_alive_ms / 1000), window = (uint32_t)o->max_inflight;
	uint32_t asked = props_num(&m->props, PROP_RECEIVE_MAXIMUM, UINT16_MAX);
	uint32_t aliases = props_num(&m->props, PROP_TOPIC_ALIAS_MAXIMUM, 0);

	c->version = m->version & 7u;
	c->wordy = wants_words(m);
	c->keep_alive_s = m->keep_alive_s;
	if (most_s > 0 && m->version == MQTT_5 && (m->keep_alive_s == 0 || m->keep_alive_s > most_s))
		c->keep_alive_s = (uint16_t)most_s; /* [MQTT-3.2.2-21] */
	c->window_max = (uint16_t)(asked < window ? asked : window);
	c->max_packet = props_num(&m->props, PROP_MAXIMUM_PACKET_SIZE, UINT32_MAX);
	c->alias_max = (uint8_t)(aliases < ALIAS_OUT ? aliases : ALIAS_OUT);
}

/* A client id with a wildcard in it makes no topic. */
static bool may_name_topics(const struct session *s)
{
	return s->client_id_len < 100 && !strpbrk(s->client_id, "+#");
}

static void send_connack(struct conn *c, const struct connect *m, bool present, const char *assigned)
{
	const struct broker_opts *o = &c->broker->opts;
	uint32_t asked = props_num(&m->props, PROP_SESSION_EXPIRY, 0);
	char info[128];
	struct connack a = {
		.v5 = c->version == MQTT_5,
		.session_present = present,
		.session_expiry_s = c->session->expiry_s,
		.send_session_expiry = c->session->expiry_s != asked,
		.receive_maximum = (uint16_t)o->receive_maximum,
		.maximum_qos = (uint8_t)o->max_qos,
		.retain_available = o->retain_available,
		.maximum_packet_size = conn_max_packet(c) <= MAX_VARINT ? conn_max_packet(c) : 0,
		.topic_alias_maximum = (uint16_t)o->topic_alias_maximum,
		.server_keep_alive_s = c->keep_alive_s != m->keep_alive_s ? c->keep_alive_s : -1,
		.assigned_id = assigned,
	};
	uint8_t bytes[ENCODE_CONNACK_MAX];
	size_t n;

	if (props_num(&m->props, PROP_REQUEST_RESPONSE_INFO, 0) == 1 && may_name_topics(c->session)) {
		snprintf(info, sizeof(info), "reply/%s/", c->session->client_id);
		a.response_info = info;
	}
	n = encode_connack(bytes, &a);
	if (n > c->max_packet) {
		a.response_info = NULL; /* which it can do without */
		n = encode_connack(bytes, &a);
	}
	if (n > c->max_packet) { /* [MQTT-3.1.2-24] */
		conn_doom(c, RC_OK);
		return;
	}
	conn_send(c, bytes, n);
	c->broker->stats.packets_out++;
}

/* --- the session -------------------------------------------------------------------------------------------- */

/* The running connection of that name makes way. Its will goes out, unless the session is resumed and the will has
 * a delay (3.1.3.2.2). */
static void take_over(struct session *s, const struct conn *by, bool clean)
{
	bool resumed = !clean && session_persists(s);
	struct conn *old = s->conn;
	char address[PEER_ADDRESS_MAX], about[PEER_ADDRESS_MAX + 16];

	log_debug("client=%s taken over by a new connection", s->client_id);
	if (!old->doomed) {
		snprintf(about, sizeof(about), ", now by %s", peer_address(by, address, sizeof(address)));
		unrest_saw(s->broker, UNREST_TAKEN_OVER, old, session_name(s), about);
	}
	if (s->will && s->will->delay_s > 0 && !resumed)
		s->will->delay_s = 0;
	conn_close(old, RC_TAKEN_OVER, true);
}

/* A client that was never here before, where there is no place for another. */
static bool too_many(struct broker *b, struct span id)
{
	return b->sessions.count - b->leavers.over >= (uint64_t)b->opts.max_sessions && !known(b, id);
}

/* From now on the ledger has it, if it outlives its connection. */
static int keep_session(struct session *s, uint32_t expiry_s, bool *fresh)
{
	*fresh = durable_open(s->broker) && expiry_s > 0 && !page_kept(s);
	return *fresh ? page_begin(s) : 0;
}

/* CONNACK does not say that a session began, that an old one was forgotten, or that a will is known, before that is safe:
 * not to a connection that comes while the one before waits for it either. And what was on its way to it and waits for
 * the ledger goes on waiting. */
static int wait_for_ledger(struct conn *c, bool changed)
{
	struct session *s = c->session;
	uint64_t will = page_will_number(s), ticket;

	page_will(s);
	page_state(s);
	if (!changed && page_will_number(s) == will)
		return s->page ? acks_gate(c, s->page->flight) : 0;
	ticket = durable_ticket(c->broker);
	if (s->page)
		s->page->flight = ticket;
	return acks_gate(c, ticket);
}

/* A session that is to be kept, and is not yet. */
static bool ledger_room(struct broker *b, const struct connect *m, struct span id)
{
	bool fresh = expiry_of(b, m) > 0 && !known(b, id);

	if (!fresh || durable_room(b) != LEDGER_FULL)
		return true;
	b->durable.refused++;
	return false;
}

/* What is there of this client already makes way for it. */
static bool session_room(struct broker *b, const struct connect *m, struct span id)
{
	const struct session *s = sessions_find(&b->sessions, id.at, id.len);
	size_t fresh = (s ? 0 : id.len) + will_bytes(m), old = s && s->will ? msg_bytes(s->will->msg) : 0;

	return fresh <= old || ration_has(b, fresh - old);
}

static int open_session(struct conn *c, const struct connect *m, struct span id, const char *user, bool *present)
{
	struct broker *b = c->broker;
	struct session *s = known(b, id);
	bool forgotten = s && m->clean && page_kept(s), fresh = false;
	struct will *will;
	int r = will_new(&will, b, m);

	if (r < 0)
		return r;
	if (s && s->conn) {
		take_over(s, c, m->clean);
		s = known(b, id); /* it may have ended with its connection */
	}
	if (s && m->clean) {
		leave_make_way(s);
		s = NULL;
	}
	*present = s != NULL;
	r = s ? 0 : session_new(&s, b, id.at, id.len);
	if (r == 0)
		r = set_owner(s, user);
	if (r == 0)
		r = keep_session(s, expiry_of(b, m), &fresh);
	if (r < 0 && s && !*present)
		session_end(s);
	if (r < 0) {
		will_free(will);
		return r;
	}
	if (m->clean)
		exact_forget(b, id.at, id.len);
	else
		*present |= exact_restore(s);
	rights_came_by(s, c->door);
	will_free(s->will); /* delayed, and the client is back in time [MQTT-3.1.3-9] */
	s->will = will;
	if (will)
		will->msg->origin_id = s->index;
	s->expiry_s = expiry_of(b, m);
	session_connected(s, c);
	return wait_for_ledger(c, fresh || forgotten);
}

static struct span assign_id(struct broker *b, char *out, size_t cap)
{
	struct span id = {(uint8_t *)out, 0};

	do
		id.len = (size_t)snprintf(out, cap, "weir-%08x-%llu", b->id_salt, (unsigned long long)++b->assigned);
	while (sessions_find(&b->sessions, id.at, id.len));
	return id;
}

static int let_in(struct conn *c, const struct connect *m, const char *user)
{
	struct broker *b = c->broker;
	struct words words = {{0}};
	char assigned[64];
	struct span id = m->client_id.len > 0 ? m->client_id : assign_id(b, assigned, sizeof(assigned));
	bool present;

	if (too_many(b, id))
		words_say(&words, "no more sessions (max_sessions)");
	else if (!session_room(b, m, id))
		words_say(&words, "no more room for client ids and wills (session_memory)");
	else if (!ledger_room(b, m, id))
		words_say(&words, "what is kept on the disk is full (state_bytes)");
	if (words.text[0] != '\0') {
		refusal_tell(c, m, RC_QUOTA, &words);
		return refuse(c, m, RC_QUOTA, &words);
	}
	set_terms(c, m);
	if (open_session(c, m, id, user, &present) < 0) {
		c->state = CONN_NEW;
		return refuse(c, m, RC_UNAVAILABLE, NULL);
	}
	c->state = CONN_LIVE;
	count_user(c, user);
	b->stats.connects++;
	if (++b->stats.connected > b->stats.connected_max)
		b->stats.connected_max = b->stats.connected;
	if (m->client_id.len > 0)
		unrest_saw(b, UNREST_COMES_BACK, c, session_name(c->session), "");
	send_connack(c, m, present && m->version != MQTT_31, m->client_id.len == 0 ? assigned : NULL);
	conn_rearm(c);
	if (present && !c->doomed)
		delivery_resume(c->session);
	return 0;
}

int connect_packet(struct conn *c, struct packet *p)
{
	struct connect m = {0};
	struct words words = {{0}};
	char user[PEER_USER_MAX];
	int r = decode_connect(p->body, &m);

	/* [MQTT-1.5.5-1] for the length of CONNECT itself: its version is known only now */
	if (r == 0 && m.version == MQTT_5 && p->body.at - p->start > 2 && p->body.at[-1] == 0)
		r = RC_MALFORMED;
	if (r == 0)
		r = check(c, &m);
	if (r == 0)
		r = check_address(c);
	if (r == 0 && m.will && mount_is(c))
		r = mount_will(c, &m);
	if (r == 0)
		r = auth_check(c, &m, user);
	if (r == AUTH_LATER)
		return DISPATCH_HOLD;
	if (r == 0)
		r = check_owner(c, &m, user, &words);
	if (r == 0)
		r = check_crowd(c, &m, user, &words);
	if (r > 0)
		refusal_tell(c, &m, (uint8_t)r, &words);
	if (r == 0)
		r = check_will(c, &m, user, &words); /* which is told as what may not be written */
	if (r != 0)
		return refuse(c, &m, r < 0 ? RC_UNAVAILABLE : (uint8_t)r, &words);
	return let_in(c, &m, user);
}
