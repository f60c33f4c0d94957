/* SPDX-License-Identifier: MIT */
/* Paho's keys are "s-7" for a message under id 7 and "sc-7" for its PUBREL, with a 5 before the dash for MQTT 5; "c-9"
 * is the ninth thing that it was asked to do. It writes c when it is given a message, on the thread of the giver and
 * before its sending thread can see it: that is where the id is learnt. It writes sc before PUBREL leaves. */
#include "bridge/paho_session.h"

#include "bridge/hops.h"

#include <MQTTClientPersistence.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LEN = 16 };

struct held {
	uint16_t id;
	bool released;
	atomic_bool answered;
	uint8_t *packet;
	size_t len;
};

struct paho_session {
	MQTTClient_persistence callbacks;
	struct exact *exact;
	enum bridge_version version;
	void *(*alloc)(size_t);
	struct held held[UPLINK_HELD_MAX];
	size_t count;
	const struct parcel *sending;
	uint16_t *id; /* of what is being sent */
	struct inbox *inbox;
	paho_received_fn *received;
	void *ctx;
};

/* --- a PUBLISH as it stands on the wire ---------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(at, bytes, len);
	return at + len;
}

static uint8_t *put_u16(uint8_t *at, size_t n)
{
	*at++ = (uint8_t)(n >> 8);
	*at++ = (uint8_t)n;
	return at;
}

static uint8_t *put_varint(uint8_t *at, size_t n)
{
	do {
		*at++ = (uint8_t)((n & 127) | (n > 127 ? 128 : 0));
		n >>= 7;
	} while (n > 0);
	return at;
}

static uint8_t *put_props(uint8_t *at, const struct parcel *p)
{
	at = put(at, p->props, p->props_len);
	if (p->expiry_s != MSG_NEVER_EXPIRES) {
		*at++ = 0x02;
		at = put_u16(at, p->expiry_s >> 16);
		at = put_u16(at, p->expiry_s & 0xffff);
	}
	for (size_t i = 0; i < p->note_count; i++) {
		*at++ = 0x26;
		at = put_u16(at, p->notes[i].name_len);
		at = put(at, p->notes[i].name, p->notes[i].name_len);
		at = put_u16(at, p->notes[i].value_len);
		at = put(at, p->notes[i].value, p->notes[i].value_len);
	}
	if (p->hop) {
		*at++ = 0x26;
		at = put_u16(at, sizeof(HOPS_NAME) - 1);
		at = put(at, HOPS_NAME, sizeof(HOPS_NAME) - 1);
		at = put_u16(at, strlen(p->hop));
		at = put(at, p->hop, strlen(p->hop));
	}
	return at;
}

static size_t props_size(const struct parcel *p)
{
	size_t size = p->props_len + (p->expiry_s == MSG_NEVER_EXPIRES ? 0 : 5);

	for (size_t i = 0; i < p->note_count; i++)
		size += 5u + p->notes[i].name_len + p->notes[i].value_len;
	if (p->hop)
		size += 5u + sizeof(HOPS_NAME) - 1 + strlen(p->hop);
	return size;
}

/* out holds parcel_wire_size() and HEAD bytes. Their number; they begin at the start. */
enum { HEAD = 5 };

static size_t write_publish(uint8_t *out, const struct parcel *p, uint16_t id, enum bridge_version version)
{
	uint8_t *at = put_u16(out + HEAD, p->topic_len), *head = out;
	size_t rest;

	at = put(at, p->topic, p->topic_len);
	at = put_u16(at, id);
	if (version == BRIDGE_V5) {
		at = put_varint(at, props_size(p));
		at = put_props(at, p);
	}
	at = put(at, p->payload, p->payload_len);
	rest = (size_t)(at - out) - HEAD;
	*head++ = (uint8_t)(0x30 | 2 << 1 | p->retain);
	head = put_varint(head, rest);
	memmove(head, out + HEAD, rest);
	return (size_t)(head - out) + rest;
}

/* --- what Paho asks for ------------------------------------------------------------------------------------------- */

static const char *mark(const struct paho_session *s)
{
	return s->version == BRIDGE_V5 ? "5" : "";
}

static void name_of(const struct paho_session *s, const char *kind, uint16_t id, char out[KEY_LEN])
{
	snprintf(out, KEY_LEN, "%s%s-%u", kind, mark(s), (unsigned)id);
}

/* The id in a key of that kind; -1: it is of another. */
static int id_in(const struct paho_session *s, const char *key, const char *kind)
{
	char front[KEY_LEN];
	int len = snprintf(front, sizeof(front), "%s%s-", kind, mark(s));

	return strncmp(key, front, (size_t)len) == 0 ? atoi(key + len) : -1;
}

static const struct held *find(const struct paho_session *s, const char *key, bool *release)
{
	int sent = id_in(s, key, "s"), released = id_in(s, key, "sc");

	*release = released >= 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->held[i].id == sent || (s->held[i].id == released && s->held[i].released))
			return &s->held[i];
	return NULL;
}

static int p_open(void **handle, const char *client, const char *uri, void *ctx)
{
	(void)client;
	(void)uri;
	*handle = ctx;
	return 0;
}

static int p_close(void *handle)
{
	(void)handle;
	return 0;
}

/* A received PUBLISH: the first part is its head, the second the rest of it. */
static void receive(struct paho_session *s, uint16_t id, int count, char *parts[], int lens[])
{
	struct paho_received r = {.id = id};
	struct cursor c;

	if (count < 2 || lens[0] < 1 || inbox_has(s->inbox, id))
		return;
	r.retain = parts[0][0] & 1;
	c = cursor_on(parts[1], (size_t)lens[1]);
	r.topic = cursor_span16(&c);
	cursor_u16(&c);
	r.payload = cursor_span(&c, cursor_left(&c));
	if (cursor_ok(&c))
		s->received(s->ctx, &r);
}

/* The parts of a c are the kind of the command, its id, and then what it is about. Told that it could not be kept, Paho
 * goes on with what it has in memory; otherwise it would drop that, and ask for it back a moment later. */
static int p_put(void *handle, char *key, int count, char *parts[], int lens[])
{
	struct paho_session *s = handle;
	int id = id_in(s, key, "sc"), came = id_in(s, key, "r");

	if (id > 0 && s->exact)
		exact_released(s->exact, (uint16_t)id);
	if (came > 0 && s->inbox)
		receive(s, (uint16_t)came, count, parts, lens);
	if (id_in(s, key, "c") < 0)
		return 0;
	if (s->sending && count > 1 && lens[1] == sizeof(int)) {
		memcpy(&id, parts[1], sizeof(id));
		*s->id = (uint16_t)id;
		exact_sent(s->exact, s->sending->seq, s->sending->sum, *s->id);
	}
	return MQTTCLIENT_PERSISTENCE_ERROR;
}

/* Paho needs a message to hang an id on: of what came and was taken, and of what was released; it sends neither. */
static const struct parcel nothing = {.topic = "-", .topic_len = 1, .expiry_s = MSG_NEVER_EXPIRES};

static int get_received(struct paho_session *s, uint16_t id, char **out, int *len)
{
	*out = s->alloc(parcel_wire_size(&nothing, s->version) + 2 + HEAD);
	if (!*out)
		return MQTTCLIENT_PERSISTENCE_ERROR;
	*len = (int)write_publish((uint8_t *)*out, &nothing, id, s->version);
	return 0;
}

static int p_get(void *handle, char *key, char **out, int *len)
{
	struct paho_session *s = handle;
	bool release;
	int came = id_in(s, key, "r");
	const struct held *h = find(s, key, &release);
	uint8_t pubrel[4] = {0x62, 2, h ? (uint8_t)(h->id >> 8) : 0, h ? (uint8_t)h->id : 0};

	if (came > 0)
		return get_received(s, (uint16_t)came, out, len);
	if (!h)
		return MQTTCLIENT_PERSISTENCE_ERROR;
	*len = release ? (int)sizeof(pubrel) : (int)h->len;
	*out = s->alloc((size_t)*len);
	if (!*out)
		return MQTTCLIENT_PERSISTENCE_ERROR;
	memcpy(*out, release ? pubrel : h->packet, (size_t)*len);
	return 0;
}

/* Of what was sent, what is done with and what is not to be comes by other ways: this is called for both. Of what came, it
 * is called before PUBCOMP leaves. */
static int p_remove(void *handle, char *key)
{
	struct paho_session *s = handle;
	int came = id_in(s, key, "r");

	if (came > 0 && s->inbox)
		inbox_release(s->inbox, (uint16_t)came);
	return 0;
}

static int p_keys(void *handle, char ***out, int *count)
{
	struct paho_session *s = handle;
	size_t room = 2 * s->count, came = s->inbox ? inbox_count(s->inbox) : 0;
	char **keys = s->alloc((room + came + 1) * sizeof(*keys));
	uint32_t after = 0;
	uint16_t id;

	*out = keys;
	*count = 0;
	if (!keys)
		return MQTTCLIENT_PERSISTENCE_ERROR;
	for (size_t i = 0; i < room; i++) {
		const struct held *h = &s->held[i / 2];
		bool release = i % 2 == 1;

		if (release && !h->released)
			continue;
		keys[*count] = s->alloc(KEY_LEN);
		if (!keys[*count])
			return MQTTCLIENT_PERSISTENCE_ERROR;
		name_of(s, release ? "sc" : "s", h->id, keys[(*count)++]);
	}
	while (s->inbox && (size_t)*count < room + came && inbox_next(s->inbox, &after, &id)) {
		keys[*count] = s->alloc(KEY_LEN);
		if (!keys[*count])
			return MQTTCLIENT_PERSISTENCE_ERROR;
		name_of(s, "r", id, keys[(*count)++]);
	}
	return 0;
}

static int p_clear(void *handle)
{
	(void)handle;
	return 0;
}

static int p_has(void *handle, char *key)
{
	const struct paho_session *s = handle;
	int came = id_in(s, key, "r");
	bool release;

	if (came > 0 && s->inbox && inbox_has(s->inbox, (uint16_t)came))
		return 0;
	return find(s, key, &release) ? 0 : MQTTCLIENT_PERSISTENCE_ERROR;
}

/* --- the outside -------------------------------------------------------------------------------------------------- */

int paho_session_new(struct paho_session **out, struct exact *exact, struct inbox *inbox, enum bridge_version version,
	void *(*alloc)(size_t))
{
	struct paho_session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->exact = exact;
	s->inbox = inbox;
	s->version = version;
	s->alloc = alloc;
	s->callbacks = (MQTTClient_persistence){s, p_open, p_close, p_put, p_get, p_remove, p_keys, p_clear, p_has};
	*out = s;
	return 0;
}

void paho_session_free(struct paho_session *s)
{
	if (s)
		paho_session_clear(s);
	free(s);
}

void *paho_session_callbacks(struct paho_session *s)
{
	return &s->callbacks;
}

int paho_session_hold(struct paho_session *s, const struct uplink_held *held)
{
	const struct parcel *p = held->released ? &nothing : held->parcel;
	struct held *h = &s->held[s->count];

	if (s->count == UPLINK_HELD_MAX)
		return -ENOBUFS;
	h->packet = malloc(parcel_wire_size(p, s->version) + 2 + HEAD);
	if (!h->packet)
		return -ENOMEM;
	h->len = write_publish(h->packet, p, held->id, s->version);
	h->id = held->id;
	h->released = held->released;
	h->answered = false;
	s->count++;
	return 0;
}

void paho_session_clear(struct paho_session *s)
{
	while (s->count > 0)
		free(s->held[--s->count].packet);
}

void paho_session_hear(struct paho_session *s, paho_received_fn *fn, void *ctx)
{
	s->received = fn;
	s->ctx = ctx;
}

void paho_session_sending(struct paho_session *s, const struct parcel *parcel, uint16_t *id)
{
	*id = 0;
	s->id = id;
	s->sending = parcel;
}

void paho_session_sent(struct paho_session *s, bool taken)
{
	s->sending = NULL;
	if (!taken && *s->id != 0)
		exact_answered(s->exact, *s->id, false);
}

bool paho_session_resumed(struct paho_session *s, uint16_t id)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->held[i].id == id && !atomic_exchange(&s->held[i].answered, true))
			return true;
	return false;
}
