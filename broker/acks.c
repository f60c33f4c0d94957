/* SPDX-License-Identifier: MIT */
#include "broker/acks.h"

#include "broker/core.h"
#include "broker/delivery.h"
#include "broker/dispatch.h"
#include "broker/encode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ACKS = 8, MAX_ACKS = 65536 };
enum ring_kind { RING_ANSWERS, RING_FLIGHT, RINGS };

struct ack {
	struct tickets wait;
	struct chunk *bytes; /* NULL: made of what follows */
	uint16_t id;
	uint8_t type, reason;
};

struct ring {
	struct ack *all;
	uint32_t cap, head, count;
};

/* Connections for whom something waits are in broker->ack_waiters. */
struct acks {
	struct conn *next_conn;
	struct ring rings[RINGS];
	uint64_t gate;
	bool listed;
	struct progress held;
};

static void send_answer(struct conn *c, const struct ack *a)
{
	uint8_t bytes[ENCODE_ANSWER_MAX];
	bool last = a->type == PKT_PUBACK || (a->type == PKT_PUBCOMP ? a->reason == RC_OK : a->reason >= 0x80);

	if (last && c->in_flight > 0)
		c->in_flight--;
	if (a->bytes)
		conn_send(c, a->bytes->bytes, a->bytes->len);
	else
		conn_send(c, bytes, encode_answer(bytes, a->type, a->id, a->reason, c->version == MQTT_5));
	c->broker->stats.packets_out++;
}

static void replay(struct conn *c, uint8_t *wanted, size_t len)
{
	int r = replay_begin(c, wanted, len);

	if (r != 0)
		conn_doom(c, (uint8_t)r);
}

static void send_flight(struct conn *c, const struct ack *a)
{
	uint8_t bytes[ENCODE_ANSWER_MAX];

	if (a->bytes) {
		conn_send(c, a->bytes->bytes, a->bytes->len);
		if (a->bytes->sent > 0 && !c->doomed)
			replay(c, a->bytes->bytes + a->bytes->len, a->bytes->sent);
	} else if (a->type == PKT_PUBLISH) {
		delivery_send_now(c->session, a->id);
		return; /* counted there */
	} else {
		conn_send(c, bytes, encode_answer(bytes, a->type, a->id, a->reason, c->version == MQTT_5));
	}
	c->broker->stats.packets_out++;
}

/* --- waiting ------------------------------------------------------------------------------------------------ */

static struct acks *acks_of(struct conn *c)
{
	if (!c->acks)
		c->acks = calloc(1, sizeof(*c->acks));
	return c->acks;
}

static void list(struct conn *c)
{
	struct acks *w = c->acks;

	if (w->listed)
		return;
	w->listed = true;
	w->next_conn = c->broker->ack_waiters;
	c->broker->ack_waiters = c;
}

static int grow(struct ring *r)
{
	uint32_t cap = r->cap > 0 ? r->cap * 2 : FIRST_ACKS;
	struct ack *all = malloc(cap * sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->count; i++)
		all[i] = r->all[(r->head + i) & (r->cap - 1)];
	free(r->all);
	r->all = all;
	r->cap = cap;
	r->head = 0;
	return 0;
}

static int push(struct conn *c, enum ring_kind kind, const struct ack *a)
{
	struct acks *w = acks_of(c);
	struct ring *r = w ? &w->rings[kind] : NULL;

	if (!w || (r->count == r->cap && grow(r) < 0))
		return -ENOMEM;
	r->all[(r->head + r->count++) & (r->cap - 1)] = *a;
	list(c);
	return 0;
}

static bool waits(const struct conn *c, enum ring_kind kind, const struct ack *a)
{
	return !durable_safe(c->broker, a->wait) || (c->acks && c->acks->rings[kind].count > 0);
}

/* NULL: it goes without words. */
static struct chunk *refusal(struct conn *c, const struct ack *a, const struct words *w)
{
	struct span words = words_span(w);
	struct chunk *bytes =
		c->wordy && words.len > 0 ? stock_get(&c->broker->stock, words.len + ENCODE_WORDS_ROOM) : NULL;

	if (!bytes)
		return NULL;
	bytes->len = (uint32_t)encode_refusal(bytes->bytes, a->type, a->id, a->reason, words);
	if (bytes->len <= c->max_packet)
		return bytes;
	stock_put(&c->broker->stock, bytes);
	return NULL;
}

void acks_refuse(struct conn *c, uint8_t type, uint16_t id, uint8_t reason, const struct words *w)
{
	struct ack a = {.id = id, .type = type, .reason = reason};

	a.bytes = refusal(c, &a, w);
	if (!waits(c, RING_ANSWERS, &a)) {
		send_answer(c, &a);
	} else if (push(c, RING_ANSWERS, &a) == 0) {
		return;
	} else {
		conn_doom(c, RC_UNSPECIFIED);
	}
	stock_put(&c->broker->stock, a.bytes);
}

/* A packet that cannot be kept: the connection ends, and the client will ask again. */
void acks_answer(struct conn *c, uint8_t type, uint16_t id, uint8_t reason, struct tickets t)
{
	struct ack a = {.wait = t, .id = id, .type = type, .reason = reason};

	if (!waits(c, RING_ANSWERS, &a))
		send_answer(c, &a);
	else if (push(c, RING_ANSWERS, &a) < 0)
		conn_doom(c, RC_UNSPECIFIED);
}

void acks_flight(struct conn *c, uint8_t type, uint16_t id, uint64_t ticket)
{
	struct ack a = {.wait = {.ledger = ticket}, .id = id, .type = type};

	if (!waits(c, RING_FLIGHT, &a))
		send_flight(c, &a);
	else if (push(c, RING_FLIGHT, &a) < 0)
		conn_doom(c, RC_UNSPECIFIED);
}

bool acks_bytes(struct conn *c, const uint8_t *bytes, size_t len, size_t behind, uint64_t ticket)
{
	struct ack a = {.wait = {.ledger = ticket}};

	if (!waits(c, RING_FLIGHT, &a)) {
		conn_send(c, bytes, len);
		c->broker->stats.packets_out++;
		return false;
	}
	a.bytes = stock_get(&c->broker->stock, len + behind);
	if (!a.bytes) {
		conn_doom(c, RC_UNSPECIFIED);
		return true;
	}
	memcpy(a.bytes->bytes, bytes, len + behind);
	a.bytes->len = (uint32_t)len;
	a.bytes->sent = (uint32_t)behind;
	if (push(c, RING_FLIGHT, &a) < 0) {
		stock_put(&c->broker->stock, a.bytes);
		conn_doom(c, RC_UNSPECIFIED);
	}
	return true;
}

int acks_gate(struct conn *c, uint64_t ticket)
{
	if (durable_safe(c->broker, (struct tickets){.ledger = ticket}))
		return 0;
	if (!acks_of(c))
		return -ENOMEM;
	c->acks->gate = ticket;
	c->gated = true;
	list(c);
	return 0;
}

bool acks_full(const struct conn *c)
{
	return c->acks && c->acks->rings[RING_ANSWERS].count >= MAX_ACKS;
}

struct progress acks_progress(const struct conn *c)
{
	return c->acks ? c->acks->held : (struct progress){0};
}

int acks_hold(struct conn *c, const struct progress *p)
{
	struct acks *w = acks_of(c);

	if (!w)
		return -ENOMEM;
	w->held = *p;
	return 0;
}

/* --- leaving ------------------------------------------------------------------------------------------------ */

static void open_gate(struct conn *c)
{
	if (!c->gated || c->acks->gate > c->broker->durable.committed)
		return;
	c->gated = false;
	turn_dirty(c);
}

static void release(struct conn *c, enum ring_kind kind)
{
	static void (*const send[RINGS])(struct conn * c, const struct ack *a) = {send_answer, send_flight};
	struct ring *r = &c->acks->rings[kind];

	while (r->count > 0 && durable_safe(c->broker, r->all[r->head].wait)) {
		struct ack a = r->all[r->head];

		r->head = (r->head + 1) & (r->cap - 1);
		r->count--;
		send[kind](c, &a);
		stock_put(&c->broker->stock, a.bytes);
	}
}

void acks_release(struct broker *b)
{
	struct conn **at = &b->ack_waiters;

	while (*at) {
		struct conn *c = *at;
		struct acks *w = c->acks;

		open_gate(c);
		release(c, RING_ANSWERS);
		release(c, RING_FLIGHT);
		if (!c->gated && w->rings[RING_ANSWERS].count + w->rings[RING_FLIGHT].count == 0) {
			*at = w->next_conn;
			w->listed = false;
		} else {
			at = &w->next_conn;
		}
	}
}

static void unlist(struct conn *c)
{
	struct conn **at = &c->broker->ack_waiters;

	if (!c->acks->listed)
		return;
	while (*at != c)
		at = &(*at)->acks->next_conn;
	*at = c->acks->next_conn;
}

void acks_forget(struct conn *c)
{
	struct acks *w = c->acks;

	if (!w)
		return;
	unlist(c);
	for (int kind = 0; kind < RINGS; kind++) {
		struct ring *r = &w->rings[kind];

		for (uint32_t i = 0; i < r->count; i++)
			stock_put(&c->broker->stock, r->all[(r->head + i) & (r->cap - 1)].bytes);
		free(r->all);
	}
	if (c->gated)
		conn_drop_output(c);
	c->gated = false;
	free(w);
	c->acks = NULL;
}
