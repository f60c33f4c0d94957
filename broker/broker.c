/* SPDX-License-Identifier: MIT */
#include "broker/broker.h"

#include "base/backoff.h"
#include "base/log.h"
#include "broker/auth.h"
#include "broker/clients.h"
#include "broker/core.h"
#include "broker/deliver.h"
#include "broker/hold.h"
#include "broker/input.h"
#include "broker/listen.h"
#include "broker/ours.h"
#include "broker/owed.h"
#include "broker/promise.h"
#include "broker/rate.h"
#include "broker/settings.h"
#include "broker/sys.h"
#include "broker/unrest.h"
#include "broker/why.h"
#include "broker/will.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INBOX = 4096, LETTERS = 256, STOP_MS = 500 };
enum letter_kind {
	LETTER_PUBLISH,
	LETTER_ARRIVAL,
	LETTER_SETTLED,
	LETTER_ROUTES,
	LETTER_WHY,
	LETTER_CLIENTS,
	LETTER_RELOAD,
	LETTER_STOP
};

uint8_t *broker_scratch(struct broker *b, unsigned which, size_t size)
{
	struct scratch *s = &b->scratch[which];
	size_t cap = s->cap > 0 ? s->cap : 256;
	uint8_t *more;

	if (size <= s->cap && s->bytes)
		return s->bytes;
	while (cap < size)
		cap *= 2;
	more = realloc(s->bytes, cap);
	if (!more)
		return NULL;
	s->bytes = more;
	s->cap = cap;
	return more;
}

/* --- the thread --------------------------------------------------------------------------------------------- */

static void stop_over(struct loop_timer *t)
{
	struct broker *b = (struct broker *)((char *)t - offsetof(struct broker, stop_timer));

	loop_stop(b->loop);
}

/* Everybody hears it; the loop runs on for a moment so that they can. */
static void say_goodbye(struct broker *b)
{
	struct conn *next;

	b->stopping = true;
	listen_close(b);
	for (struct conn *c = b->conns; c; c = next) {
		next = c->next;
		conn_close(c, RC_SHUTTING_DOWN, true);
	}
	b->stop_timer.run = stop_over;
	loop_arm(b->loop, &b->stop_timer, broker_now_ms(b) + (b->conns ? STOP_MS : 0));
}

static void read_letter(struct broker *b, const struct letter *l)
{
	switch ((enum letter_kind)l->kind) {
	case LETTER_PUBLISH:
		ours_publish(b, l->ptr);
		msg_unref(l->ptr);
		break;
	case LETTER_ARRIVAL: arrival_take(b, l->ptr); break;
	case LETTER_SETTLED: orders_settle(b, l->ptr); break;
	case LETTER_ROUTES: subs_invalidate(&b->subs); break;
	case LETTER_WHY: why_answer(b, l->ptr); break;
	case LETTER_CLIENTS: clients_answer(b, l->ptr); break;
	case LETTER_RELOAD: settings_take(b, l->ptr); break;
	case LETTER_STOP: say_goodbye(b); break;
	}
}

static void inbox_ready(struct loop_watch *w, uint32_t events)
{
	struct broker *b = (struct broker *)((char *)w - offsetof(struct broker, inbox_watch));
	struct letter letters[LETTERS];
	size_t n;

	(void)events;
	n = mailbox_take(&b->inbox, letters, LETTERS);
	for (size_t i = 0; i < n; i++)
		read_letter(b, &letters[i]);
	if (ours_hold_inbox(b))
		broker_pause_inbox(b);
}

void broker_pause_inbox(struct broker *b)
{
	bool paused = ours_hold_inbox(b);

	if (loop_rewatch(b->loop, &b->inbox_watch, paused ? 0 : EPOLLIN) < 0)
		log_error("broker: epoll: %s", strerror(errno));
}

static void *run(void *arg)
{
	struct broker *b = arg;
	int r;

	pthread_setname_np(pthread_self(), "broker");
	owner_take(&b->owner);
	r = loop_run(b->loop);
	if (r < 0) {
		log_error("broker: the event loop failed: %s; weir ends, to be started again", strerror(-r));
		abort();
	}
	owner_release(&b->owner);
	return NULL;
}

/* --- the owner's side --------------------------------------------------------------------------------------- */

static int open_parts(struct broker *b)
{
	const struct broker_opts *o = &b->opts;
	uint64_t seed = (uint64_t)backoff_random() << 32 | backoff_random();
	int r = loop_new(&b->loop, b->clock);

	if (r == 0)
		r = mailbox_init(&b->inbox, INBOX);
	if (r == 0)
		r = levels_init(&b->levels, seed);
	if (r == 0)
		r = subs_init(&b->subs, &b->levels);
	if (r == 0)
		r = retain_init(
			&b->retain, &b->levels, (uint32_t)o->max_retained_messages, (uint64_t)o->max_retained_bytes);
	if (r == 0)
		r = sessions_init(&b->sessions, seed);
	if (r == 0)
		r = routes_init(&b->routes);
	if (r == 0)
		r = loop_watch(b->loop, &b->inbox_watch, mailbox_fd(&b->inbox), EPOLLIN);
	if (r == 0)
		r = promise_start(b);
	if (r == 0)
		r = unrest_new(&b->unrest);
	if (r == 0)
		r = exact_start(b);
	if (r == 0)
		r = sys_start(b);
	if (r == 0)
		r = auth_new(&b->auth, b);
	if (r == 0)
		r = shakes_start(b);
	return r;
}

int broker_new(
	struct broker **out, const struct broker_opts *opts, const struct persist *persist, const struct clock *clock)
{
	struct broker *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	settings_set(b, opts);
	if (persist)
		b->persist = *persist;
	b->clock = clock;
	b->inbox_watch.run = inbox_ready;
	turn_start(b);
	leave_start(b);
	replay_start(b);
	b->pending_timer.run = input_read_pending;
	b->rate_timer.run = rate_tick;
	b->id_salt = backoff_random();
	orders_init(b);
	b->input = malloc(CONN_INPUT);
	r = b->input ? open_parts(b) : -ENOMEM;
	if (r == 0)
		r = settings_open(b, opts);
	if (r < 0) {
		broker_free(b);
		return r;
	}
	*out = b;
	return 0;
}

int broker_keep(struct broker *b, const struct ledger *ledger)
{
	return ledger->ops ? durable_start(b, ledger) : 0;
}

int broker_start(struct broker *b)
{
	int r;

	pulse_start(&b->pulse, b->loop);
	r = pthread_create(&b->thread, NULL, run, b);

	b->started = r == 0;
	return -r;
}

void broker_stop(struct broker *b)
{
	if (!b || !b->started)
		return;
	if (mailbox_post(&b->inbox, (struct letter){.kind = LETTER_STOP}) != 0)
		loop_stop(b->loop); /* it does not read its letters now: without goodbyes then */
	pthread_join(b->thread, NULL);
	b->started = false;
}

static void free_sessions(struct broker *b)
{
	b->freeing = true;
	for (uint32_t i = 1; i < b->sessions.used; i++) {
		struct session *s = b->sessions.all[i];

		if ((uintptr_t)s & 1)
			continue;
		will_free(s->will);
		s->will = NULL;
		session_end(s);
	}
}

static void free_letters(struct broker *b)
{
	struct letter l;

	while (b->inbox.ring && mailbox_take(&b->inbox, &l, 1) == 1) {
		if (l.kind == LETTER_PUBLISH)
			msg_unref(l.ptr);
		if (l.kind == LETTER_ARRIVAL)
			arrival_free(l.ptr);
		if (l.kind == LETTER_RELOAD)
			settings_free(l.ptr);
		if (l.kind == LETTER_WHY)
			why_free(l.ptr);
		if (l.kind == LETTER_CLIENTS)
			clients_free(l.ptr);
	}
}

void broker_free(struct broker *b)
{
	if (!b)
		return;
	if (b->loop) {
		durable_stop(b);
		conn_free_all(b);
		free_sessions(b);
		listen_close(b);
	}
	durable_fini(b);
	exact_fini(b);
	auth_free(b->auth);
	shakes_stop(b);
	acl_free(b->acl);
	free(b->told);
	census_fini(&b->addresses);
	census_fini(&b->users);
	sys_free(b);
	unrest_free(b->unrest);
	ours_free(b);
	arrivals_fini(b);
	orders_fini(b);
	owed_fini(b);
	free_letters(b);
	mailbox_fini(&b->inbox);
	routes_fini(&b->routes);
	sessions_fini(&b->sessions);
	shares_fini(&b->shares);
	retain_fini(&b->retain);
	subs_fini(&b->subs);
	levels_fini(&b->levels);
	for (size_t i = 0; i < b->tap_count; i++)
		free(b->taps[i].filter);
	free(b->taps);
	for (int i = 0; i < SCRATCHES; i++)
		free(b->scratch[i].bytes);
	pieces_fini(&b->pieces);
	stock_fini(&b->stock);
	loop_free(b->loop);
	free(b->input);
	free(b);
}

int64_t broker_beat_ms(const struct broker *b)
{
	return pulse_ms(&b->pulse);
}

int broker_port(const struct broker *b, size_t listener)
{
	return listen_port(b, listener);
}

int broker_take_orders(struct broker *b, const char *filter, const struct broker_orders *to)
{
	b->orders.to = *to;
	return broker_tap(b, filter, NULL, NULL);
}

int broker_tap(struct broker *b, const char *filter, broker_tap_fn *fn, void *ctx)
{
	struct tap *taps = realloc(b->taps, (b->tap_count + 1) * sizeof(*taps));
	char *copy = strdup(filter);
	uint32_t node;
	int r;

	if (taps)
		b->taps = taps;
	if (!taps || !copy) {
		free(copy);
		return -ENOMEM;
	}
	r = subs_set(&b->subs, filter, strlen(filter), (struct sub){.who = (uint32_t)SUB_TAP | (uint32_t)b->tap_count},
		&node);
	if (r < 0) {
		free(copy);
		return r;
	}
	b->taps[b->tap_count++] = (struct tap){copy, fn, ctx};
	return 0;
}

void broker_origin_name(const struct broker *b, const struct msg *m, char *out, size_t cap)
{
	const struct session *s = m->origin == MSG_FROM_CLIENT ? sessions_live(&b->sessions, m->origin_id) : NULL;

	if (s)
		snprintf(out, cap, "client %.*s", (int)s->client_id_len, s->client_id);
	else
		snprintf(out, cap, "%s",
			m->origin == MSG_FROM_BRIDGE   ? "an upstream"
			: m->origin == MSG_FROM_CLIENT ? "a client that has left"
						       : "weir");
}

/* --- any thread --------------------------------------------------------------------------------------------- */

static int post(struct broker *b, struct letter l)
{
	int r = mailbox_post(&b->inbox, l);

	return r == MAILBOX_FULL ? BROKER_BUSY : r;
}

int broker_publish(struct broker *b, struct msg *m)
{
	int r = post(b, (struct letter){.kind = LETTER_PUBLISH, .ptr = msg_ref(m)});

	if (r != 0)
		msg_unref(m);
	return r;
}

int broker_arrive(struct broker *b, const struct broker_arrival *from)
{
	struct arrival *a;
	int r = arrival_new(&a, from);

	if (r < 0)
		return r;
	r = post(b, (struct letter){.kind = LETTER_ARRIVAL, .ptr = a});
	if (r != 0)
		arrival_free(a);
	return r;
}

int broker_settle(struct broker *b, struct broker_settlement *s)
{
	return post(b, (struct letter){.kind = LETTER_SETTLED, .ptr = s});
}

int broker_routes_changed(struct broker *b)
{
	return post(b, (struct letter){.kind = LETTER_ROUTES});
}

int broker_reload(struct broker *b, const struct broker_opts *opts)
{
	struct settings *fresh;
	int r = settings_new(&fresh, opts);

	if (r < 0)
		return r;
	r = post(b, (struct letter){.kind = LETTER_RELOAD, .ptr = fresh});
	if (r != 0)
		settings_free(fresh);
	return r;
}

int broker_why(struct broker *b, const char *client, const char *topic, broker_why_fn *done, void *ctx)
{
	struct why *w;
	int r = why_new(&w, client, topic, done, ctx);

	if (r < 0)
		return r;
	r = post(b, (struct letter){.kind = LETTER_WHY, .ptr = w});
	if (r != 0)
		why_free(w);
	return r;
}

int broker_clients(struct broker *b, bool json, broker_why_fn *done, void *ctx)
{
	struct clients *q;
	int r = clients_new(&q, json, done, ctx);

	if (r < 0)
		return r;
	r = post(b, (struct letter){.kind = LETTER_CLIENTS, .ptr = q});
	if (r != 0)
		clients_free(q);
	return r;
}

void broker_on_notice(struct broker *b, broker_notice_fn *fn, void *ctx)
{
	b->notice = fn;
	b->notice_ctx = ctx;
}
