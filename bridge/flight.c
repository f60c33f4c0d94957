/* SPDX-License-Identifier: MIT */
#include "bridge/flight.h"

#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static struct flight_slot *at(const struct flight *w, uint64_t place)
{
	return &w->slots[place % w->cap];
}

int flight_init(struct flight *w, size_t cap, uint64_t cursor)
{
	*w = (struct flight){.cap = cap, .seen = cursor};
	w->slots = calloc(cap, sizeof(*w->slots));
	return w->slots ? 0 : -ENOMEM;
}

void flight_fini(struct flight *w)
{
	for (; w->head < w->tail; w->head++) {
		msg_unref(at(w, w->head)->msg);
		crate_free(at(w, w->head)->crate);
	}
	free(w->slots);
	w->slots = NULL;
}

void flight_restart(struct flight *w, uint64_t cursor)
{
	assert(w->head == w->tail);
	w->seen = cursor;
}

bool flight_full(const struct flight *w)
{
	return w->tail - w->head == w->cap;
}

size_t flight_count(const struct flight *w)
{
	return (size_t)(w->tail - w->head);
}

uint64_t flight_cursor(const struct flight *w)
{
	return w->head == w->tail ? w->seen : at(w, w->head)->seq - 1;
}

void flight_pass(struct flight *w, uint64_t seq)
{
	assert(seq > w->seen);
	w->seen = seq;
}

size_t flight_push(struct flight *w, uint64_t seq, struct msg *m)
{
	struct flight_slot *slot = at(w, w->tail);

	assert(!flight_full(w) && seq > w->seen);
	*slot = (struct flight_slot){.seq = seq, .msg = msg_ref(m), .phase = FLIGHT_WAITING};
	w->seen = seq;
	w->tail++;
	return flight_index(w, slot);
}

struct flight_slot *flight_push_crate(struct flight *w, struct crate *c)
{
	struct flight_slot *slot = at(w, w->tail);

	assert(!flight_full(w));
	*slot = (struct flight_slot){
		.seq = c->pin.seq, .crate = c, .rule = c->rule, .exempt = c->exempt, .phase = FLIGHT_WAITING};
	w->tail++;
	return slot;
}

uint32_t flight_topic(struct flight_slot *slot)
{
	const char *topic = slot->crate ? slot->crate->topic : msg_topic(slot->msg);

	if (slot->topic == 0)
		slot->topic = hash32_text(topic);
	if (slot->topic == 0)
		slot->topic = 1;
	return slot->topic;
}

/* An alarm is not held back by the rate of its rule. */
bool flight_may_go(const struct flight *w, const struct flight_slot *slot, int64_t now_ms, int64_t *due_ms)
{
	if (slot->msg && slot->msg->class == MSG_ALARM)
		return true;
	return rates_allow(w->rates, slot->rule, now_ms, due_ms);
}

static void sooner(int64_t *due_ms, const struct flight_slot *slot)
{
	if (*due_ms < 0 || slot->due_ms < *due_ms)
		*due_ms = slot->due_ms;
}

/* Of each topic only the oldest that is not done. */
static struct flight_slot *next_strictly(struct flight *w, int64_t now_ms, bool exempt_only, int64_t *due_ms)
{
	enum { TOPICS = 4096 };
	uint64_t taken[TOPICS / 64] = {0};

	for (uint64_t place = w->head; place < w->tail; place++) {
		struct flight_slot *slot = at(w, place);
		uint32_t topic;
		bool first;

		if (slot->phase == FLIGHT_DONE)
			continue;
		topic = flight_topic(slot) % TOPICS;
		first = !(taken[topic / 64] >> topic % 64 & 1);
		taken[topic / 64] |= UINT64_C(1) << topic % 64;
		if (!first || slot->phase == FLIGHT_SENT || (exempt_only && !slot->exempt))
			continue;
		if (slot->due_ms > now_ms)
			sooner(due_ms, slot);
		else if (flight_may_go(w, slot, now_ms, due_ms))
			return slot;
	}
	return NULL;
}

struct flight_slot *flight_next(struct flight *w, int64_t now_ms, bool exempt_only, int64_t *due_ms)
{
	bool first = true;

	*due_ms = -1;
	if (w->strict)
		return next_strictly(w, now_ms, exempt_only, due_ms);
	for (uint64_t place = w->unsent < w->head ? w->head : w->unsent; place < w->tail; place++) {
		struct flight_slot *slot = at(w, place);

		if (slot->phase != FLIGHT_WAITING)
			continue;
		if (first)
			w->unsent = place;
		first = false;
		if (exempt_only && !slot->exempt)
			continue;
		if (slot->due_ms > now_ms)
			sooner(due_ms, slot);
		else if (flight_may_go(w, slot, now_ms, due_ms))
			return slot;
	}
	if (first)
		w->unsent = w->tail;
	return NULL;
}

size_t flight_index(const struct flight *w, const struct flight_slot *slot)
{
	return (size_t)(slot - w->slots);
}

void flight_sent(struct flight *w, struct flight_slot *slot, int64_t now_ms)
{
	slot->phase = FLIGHT_SENT;
	slot->sent_ms = now_ms;
	slot->bytes = slot->crate ? slot->crate->bytes : msg_bytes(slot->msg);
	w->sent++;
	w->sent_bytes += slot->bytes;
}

static void leave_flight(struct flight *w, const struct flight_slot *slot)
{
	if (slot->phase != FLIGHT_SENT)
		return;
	w->sent--;
	w->sent_bytes -= slot->bytes;
}

void flight_done(struct flight *w, struct flight_slot *slot)
{
	leave_flight(w, slot);
	slot->phase = FLIGHT_DONE;
	msg_unref(slot->msg);
	crate_free(slot->crate);
	slot->msg = NULL;
	slot->crate = NULL;
	while (w->head < w->tail && at(w, w->head)->phase == FLIGHT_DONE)
		w->head++;
}

void flight_retry(struct flight *w, struct flight_slot *slot, int64_t due_ms)
{
	leave_flight(w, slot);
	slot->phase = FLIGHT_WAITING;
	slot->due_ms = due_ms;
	slot->again = true;
	w->unsent = w->head;
}

void flight_unsend(struct flight *w)
{
	for (uint64_t place = w->head; place < w->tail; place++)
		if (at(w, place)->phase == FLIGHT_SENT)
			flight_retry(w, at(w, place), 0);
	w->unsent = w->head;
}

int64_t flight_oldest_ms(const struct flight *w)
{
	int64_t oldest = -1;

	for (uint64_t place = w->head; place < w->tail; place++) {
		const struct flight_slot *slot = at(w, place);

		if (slot->phase == FLIGHT_SENT && (oldest < 0 || slot->sent_ms < oldest))
			oldest = slot->sent_ms;
	}
	return oldest;
}
