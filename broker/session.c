/* SPDX-License-Identifier: MIT */
#include "broker/session.h"

#include "broker/area.h"
#include "broker/core.h"
#include "broker/delivery.h"
#include "broker/mark.h"
#include "broker/page.h"
#include "broker/ration.h"
#include "broker/sublist.h"
#include "broker/will.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHAINS = 64 };

/* --- the table ---------------------------------------------------------------------------------------------- */

int sessions_init(struct sessions *t, uint64_t seed)
{
	*t = (struct sessions){.seed = seed, .chain_count = FIRST_CHAINS, .used = 1};
	t->chains = area_new(FIRST_CHAINS * sizeof(*t->chains));
	return t->chains ? 0 : -ENOMEM;
}

void sessions_fini(struct sessions *t)
{
	area_free(t->all, t->cap * sizeof(struct session *));
	area_free(t->chains, t->chain_count * sizeof(*t->chains));
	*t = (struct sessions){0};
}

struct session *sessions_at(const struct sessions *t, uint32_t index)
{
	return t->all[index];
}

struct session *sessions_live(const struct sessions *t, uint32_t index)
{
	return index > 0 && index < t->used && !((uintptr_t)t->all[index] & 1) ? t->all[index] : NULL;
}

void sessions_clear_marks(struct sessions *t)
{
	for (uint32_t i = 1; i < t->used; i++)
		if (!((uintptr_t)t->all[i] & 1))
			t->all[i]->route_mark = 0;
}

/* The hash of an id is not kept: it is four bytes for each client, and needed when it comes and when it goes. */
static uint32_t chain_of(const struct sessions *t, const void *client_id, size_t len)
{
	return levels_hash(t->seed, client_id, len) & (t->chain_count - 1);
}

struct session *sessions_find(const struct sessions *t, const void *client_id, size_t len)
{
	for (uint32_t i = t->chains[chain_of(t, client_id, len)]; i != 0; i = t->all[i]->chain) {
		struct session *s = t->all[i];

		if (s->client_id_len == len && memcmp(s->client_id, client_id, len) == 0)
			return s;
	}
	return NULL;
}

static void put_in_chain(struct sessions *t, struct session *s)
{
	uint32_t *chain = &t->chains[chain_of(t, s->client_id, s->client_id_len)];

	s->chain = *chain;
	*chain = s->index;
}

static void grow_chains(struct sessions *t)
{
	uint32_t count = t->chain_count * 2;
	uint32_t *chains = area_new(count * sizeof(*chains));

	if (!chains)
		return; /* longer chains, nothing worse */
	area_free(t->chains, t->chain_count * sizeof(*chains));
	t->chains = chains;
	t->chain_count = count;
	for (uint32_t i = 1; i < t->used; i++)
		if (!((uintptr_t)t->all[i] & 1) && t->all[i]->stage != LEAVE_UNNAMED)
			put_in_chain(t, t->all[i]);
}

static int insert(struct sessions *t, struct session *s)
{
	uint32_t at = t->spare;

	if (at != 0) {
		t->spare = (uint32_t)((uintptr_t)t->all[at] >> 1);
	} else {
		if (t->used >= t->cap) {
			uint32_t cap = t->cap > 0 ? t->cap + t->cap / 2 : 64;
			struct session **all =
				area_resize(t->all, t->cap * sizeof(struct session *), cap * sizeof(struct session *));

			if (!all)
				return -ENOMEM;
			t->all = all;
			t->cap = cap;
		}
		at = t->used++;
	}
	t->all[at] = s;
	s->index = at;
	put_in_chain(t, s);
	if (++t->count > t->chain_count)
		grow_chains(t);
	return 0;
}

void sessions_unname(struct sessions *t, struct session *s)
{
	uint32_t *at = &t->chains[chain_of(t, s->client_id, s->client_id_len)];

	while (*at != s->index)
		at = &t->all[*at]->chain;
	*at = s->chain;
	t->count--;
}

/* What names it by its number is gone. */
static void free_place(struct sessions *t, struct session *s)
{
	if (s->index == 0)
		return; /* it never had one */
	t->all[s->index] = (struct session *)((uintptr_t)t->spare << 1 | 1);
	t->spare = s->index;
}

/* --- life --------------------------------------------------------------------------------------------------- */

void session_free(struct session *s)
{
	ration_give_subs(s);
	ration_give(s->broker, s->client_id_len);
	page_end(s);
	loop_disarm(s->broker->loop, &s->timer);
	free_place(&s->broker->sessions, s);
	sublist_free(s);
	free(s->queue);
	window_fini(&s->window);
	idset_fini(&s->received);
	will_free(s->will);
	rights_forget(s);
	free(s->user);
	free(s);
}

static void timer_ran(struct loop_timer *t)
{
	leave_due((struct session *)((char *)t - offsetof(struct session, timer)));
}

void session_init_timer(struct session *s)
{
	s->timer = (struct loop_timer){.run = timer_ran};
}

void session_rearm(struct session *s)
{
	int64_t due_ms = s->will && s->will_due_ms < s->end_due_ms ? s->will_due_ms : s->end_due_ms;

	if (due_ms < INT64_MAX)
		loop_arm(s->broker->loop, &s->timer, due_ms);
}

int session_new(struct session **out, struct broker *b, const void *client_id, size_t len)
{
	size_t size = offsetof(struct session, client_id) + len + 1;
	struct session *s = calloc(1, size > sizeof(*s) ? size : sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->client_id_len = (uint16_t)len;
	s->broker = b;
	session_init_timer(s);
	ration_take(b, len);
	memcpy(s->client_id, client_id, len);
	r = insert(&b->sessions, s);
	if (r < 0) {
		session_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void session_end(struct session *s)
{
	leave_all(s);
}

void session_connected(struct session *s, struct conn *c)
{
	assert(!s->conn);
	s->conn = c;
	c->session = s;
	s->version = c->version;
	loop_disarm(s->broker->loop, &s->timer);
}

void session_away(struct session *s, int64_t since_ms)
{
	s->end_due_ms = s->expiry_s == UINT32_MAX ? INT64_MAX : since_ms + (int64_t)s->expiry_s * 1000;
	s->will_due_ms = s->will ? since_ms + (int64_t)s->will->delay_s * 1000 : INT64_MAX;
	session_rearm(s);
}

void session_disconnected(struct session *s, bool publish_will)
{
	s->conn->session = NULL;
	s->conn = NULL;
	if (!publish_will) {
		will_free(s->will);
		s->will = NULL;
	}
	if (!session_persists(s)) {
		leave_end(s);
		return;
	}
	if (!s->will)
		page_will(s);
	page_state(s);
	session_away(s, broker_now_ms(s->broker));
	if (s->will && s->will->delay_s == 0)
		leave_due(s);
}

/* --- the queue ---------------------------------------------------------------------------------------------- */

uint32_t session_queued(const struct session *s)
{
	return s->queue ? s->queue->plain.count + s->queue->acked.count : 0;
}

void session_dequeue(struct session *s, struct queue *q)
{
	struct delivery *d = queue_head(q);

	s->queue->replays -= d->flags & DELIVERY_REPLAY ? 1 : 0;
	mark_done(s->broker, queue_mark(q));
	delivery_release(s, d);
	queue_pop(q);
}

static bool full(const struct session *s)
{
	const struct broker_opts *o = &s->broker->opts;

	return session_queued(s) - s->queue->replays >= (uint64_t)o->max_queued_messages ||
	       s->queue->bytes > (uint64_t)o->max_queued_bytes || s->broker->queued_bytes > (uint64_t)o->queue_memory;
}

void session_dropped(struct session *s)
{
	s->dropped++;
	s->broker->stats.publish_dropped++;
}

void session_starved(struct session *s)
{
	session_dropped(s);
	s->broker->starved++;
}

static bool make_room(struct session *s, struct queue *q)
{
	if (s->broker->opts.queue_policy == BROKER_DROP_NEWEST)
		return !full(s);
	while (full(s)) {
		struct queue *other = q == &s->queue->plain ? &s->queue->acked : &s->queue->plain;
		struct queue *from = q->count > 0 ? q : other;

		if (from->count == 0)
			return false;
		session_dequeue(s, from);
		session_dropped(s);
	}
	return true;
}

/* A subscription gets all that is retained once; who asks again and again without reading does not. */
static bool replay_room(const struct session *s)
{
	const struct broker *b = s->broker;

	return s->queue->replays < b->retain.count + (uint64_t)b->opts.max_queued_messages;
}

int session_queue(struct session *s, struct post *p, uint32_t ids, uint8_t flags)
{
	struct delivery d = {.ids = ids, .flags = flags & (uint8_t)~DELIVERY_ID_LIST};
	struct queue *q;
	int r;

	/* kept first: it may be the queue that is made, and room is made for others than this one */
	if (!delivery_keep(s, &d, p->msg)) {
		session_starved(s);
		return -ENOMEM;
	}
	d.flags = flags;
	q = flags & DELIVERY_QOS ? &s->queue->acked : &s->queue->plain;
	if (!(flags & DELIVERY_REPLAY ? replay_room(s) : make_room(s, q)))
		r = SESSION_DROPPED;
	else
		r = queue_push(q, &d);
	if (r != 0) {
		d.flags &= (uint8_t)~DELIVERY_ID_LIST; /* the caller's still */
		delivery_release(s, &d);
		(r < 0 ? session_starved : session_dropped)(s);
		return r;
	}
	s->queue->replays += flags & DELIVERY_REPLAY ? 1 : 0;
	mark_put(s, &d, queue_last_mark(q), p);
	return 0;
}
