/* SPDX-License-Identifier: MIT */
#include "bridge/window.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static struct window_slot *at(const struct window *w, uint64_t place)
{
	return &w->slots[place % w->cap];
}

int window_init(struct window *w, size_t cap, uint64_t cursor)
{
	*w = (struct window){.cap = cap, .seen = cursor};
	w->slots = calloc(cap, sizeof(*w->slots));
	return w->slots ? 0 : -ENOMEM;
}

void window_fini(struct window *w)
{
	for (; w->head < w->tail; w->head++)
		msg_unref(at(w, w->head)->msg);
	free(w->slots);
	w->slots = NULL;
}

bool window_full(const struct window *w)
{
	return w->tail - w->head == w->cap;
}

size_t window_count(const struct window *w)
{
	return (size_t)(w->tail - w->head);
}

uint64_t window_cursor(const struct window *w)
{
	return w->head == w->tail ? w->seen : at(w, w->head)->seq - 1;
}

void window_pass(struct window *w, uint64_t seq)
{
	assert(seq > w->seen);
	w->seen = seq;
}

size_t window_push(struct window *w, uint64_t seq, struct msg *m)
{
	struct window_slot *slot = at(w, w->tail);

	assert(!window_full(w) && seq > w->seen);
	*slot = (struct window_slot){.seq = seq, .msg = msg_ref(m), .phase = WINDOW_WAITING};
	w->seen = seq;
	w->tail++;
	return window_index(w, slot);
}

struct window_slot *window_next(struct window *w, int64_t now_ms, int64_t *due_ms)
{
	bool first = true;

	*due_ms = -1;
	for (uint64_t place = w->unsent < w->head ? w->head : w->unsent; place < w->tail; place++) {
		struct window_slot *slot = at(w, place);

		if (slot->phase != WINDOW_WAITING)
			continue;
		if (first)
			w->unsent = place;
		first = false;
		if (slot->due_ms <= now_ms)
			return slot;
		if (*due_ms < 0 || slot->due_ms < *due_ms)
			*due_ms = slot->due_ms;
	}
	if (first)
		w->unsent = w->tail;
	return NULL;
}

size_t window_index(const struct window *w, const struct window_slot *slot)
{
	return (size_t)(slot - w->slots);
}

void window_sent(struct window *w, struct window_slot *slot, int64_t now_ms)
{
	slot->phase = WINDOW_SENT;
	slot->sent_ms = now_ms;
	w->sent++;
	w->sent_bytes += msg_bytes(slot->msg);
}

static void leave_flight(struct window *w, const struct window_slot *slot)
{
	if (slot->phase != WINDOW_SENT)
		return;
	w->sent--;
	w->sent_bytes -= msg_bytes(slot->msg);
}

void window_done(struct window *w, struct window_slot *slot)
{
	leave_flight(w, slot);
	slot->phase = WINDOW_DONE;
	msg_unref(slot->msg);
	slot->msg = NULL;
	while (w->head < w->tail && at(w, w->head)->phase == WINDOW_DONE)
		w->head++;
}

void window_retry(struct window *w, struct window_slot *slot, int64_t due_ms)
{
	leave_flight(w, slot);
	slot->phase = WINDOW_WAITING;
	slot->due_ms = due_ms;
	slot->again = true;
	w->unsent = w->head;
}

void window_unsend(struct window *w)
{
	for (uint64_t place = w->head; place < w->tail; place++)
		if (at(w, place)->phase == WINDOW_SENT)
			window_retry(w, at(w, place), 0);
	w->unsent = w->head;
}

int64_t window_oldest_ms(const struct window *w)
{
	int64_t oldest = -1;

	for (uint64_t place = w->head; place < w->tail; place++) {
		const struct window_slot *slot = at(w, place);

		if (slot->phase == WINDOW_SENT && (oldest < 0 || slot->sent_ms < oldest))
			oldest = slot->sent_ms;
	}
	return oldest;
}
