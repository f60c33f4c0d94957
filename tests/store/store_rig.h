/* SPDX-License-Identifier: MIT */
/* store_rig.h - a store with its thread in a directory of its own, a sender, and what its events said. */
#ifndef TESTS_STORE_STORE_RIG_H
#define TESTS_STORE_STORE_RIG_H

#include "store/store.h"
#include "tests/store/queue_rig.h"

#include <poll.h>
#include <stdatomic.h>

struct sender {
	char *dir;
	struct store_opts opts;
	struct store_events events;
	struct store *store;
	struct store_source *source;
	uint64_t sent; /* its ticket, too, in the first life */
	atomic_uint troubles, recoveries;
};

static inline void sender_trouble(void *ctx, const char *sentence)
{
	struct sender *s = ctx;

	atomic_fetch_add(sentence ? &s->troubles : &s->recoveries, 1);
}

static inline void sender_init(struct sender *s, char *dir)
{
	*s = (struct sender){.dir = dir};
	s->opts = (struct store_opts){
		.dir = dir, .max_bytes = 8 << 20, .memory_bytes = 1 << 20, .commit_ms = 5, .batch = 1000};
	s->events = (struct store_events){.ctx = s, .trouble = sender_trouble};
}

static inline int sender_open(struct sender *s)
{
	int r = store_open(&s->store, &s->opts, rig_ups, 1, &s->events, &clock_system);

	return r < 0 ? r : store_source_new(&s->source, s->store);
}

static inline void sender_close(struct sender *s)
{
	store_source_free(s->source);
	store_close(s->store);
	s->store = NULL;
	s->source = NULL;
}

/* One message more: what store_append() says. */
static inline int sender_send_as(struct sender *s, enum msg_class class, size_t size)
{
	struct msg *m = rig_msg(s->sent + 1, class, size);
	uint64_t ticket;
	int r = store_append(s->source, m, &ticket);

	msg_unref(m);
	if (r == 0)
		s->sent++;
	return r;
}

static inline int sender_send(struct sender *s, size_t size)
{
	return sender_send_as(s, MSG_TELEMETRY, size);
}

/* Waits until the descriptor says something, or for ms. */
static inline uint64_t sender_wait(struct sender *s, int ms)
{
	struct pollfd p = {.fd = store_source_fd(s->source), .events = POLLIN};

	poll(&p, 1, ms);
	return store_source_committed(s->source);
}

/* false: not within ten seconds. */
static inline bool sender_settle(struct sender *s, uint64_t ticket)
{
	for (int i = 0; i < 1000; i++)
		if (sender_wait(s, 10) >= ticket)
			return true;
	return false;
}

#endif
