/* SPDX-License-Identifier: MIT */
#include "gateway/upstreams.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_AGAIN_MS = 60000 };

struct upstream {
	struct upstreams *all;
	struct generation *gen;
	const struct bridge_opts *opts;
	struct bridge *bridge;
	size_t number;   /* its place in the store's list */
	char *text;      /* its options; the same text: nothing changed */
	uint32_t serial; /* no other has it, nor had it before a reload */
	bool told, told_up;
	char logged[512]; /* why it is down, or where it is up; and when that was said */
	int64_t logged_ms;
	struct upstream *next;
};

struct upstreams {
	struct upstreams_deps deps;
	struct upstream *list;
	uint64_t last_seq;
	bool applied; /* once: what begins later does so by a reload */
	uint32_t serials;
};

static void acknowledged(void *ctx, struct bridge *b, uint64_t seq)
{
	struct upstream *up = ctx;
	int r = store_acknowledge(up->all->deps.store, up->number, seq);

	(void)b;
	if (r < 0) /* the record stays and is sent once more after a restart: a duplicate, not a loss */
		log_error("upstream=%s seq=%llu error=\"%s\"; not noted as acknowledged", up->opts->head.name,
			(unsigned long long)seq, strerror(-r));
}

/* On the broker's thread. */
static bool arrived(void *ctx, uint64_t token, bool taken)
{
	const struct upstreams *u = ctx;
	struct letter l = {.kind = u->deps.letter_arrived, .num = taken, .val = token};

	return mailbox_post(u->deps.inbox, l) == 0;
}

static int inbound(void *ctx, struct bridge *b, const struct bridge_arrival *a)
{
	struct upstream *up = ctx;
	struct broker_arrival to = {
		.msg = a->msg,
		.source = up->opts->head.name,
		.epoch = a->epoch,
		.number = a->number,
		.done = arrived,
		.ctx = up->all,
		.token = (uint64_t)up->serial << 32 | a->token,
	};

	(void)b;
	if (!up->all->deps.broker || broker_arrive(up->all->deps.broker, &to) != 0)
		return BRIDGE_NOT_NOW;
	return BRIDGE_TOLD_LATER;
}

void upstreams_arrived(struct upstreams *u, const struct letter *l)
{
	for (struct upstream *up = u->list; up; up = up->next)
		if (up->serial == (uint32_t)(l->val >> 32))
			bridge_taken(up->bridge, (uint32_t)l->val, l->num);
}

/* Its cause is what stands before the time of the next try. A list of addresses has one for each, in turn. */
static void log_state(struct upstream *up, bool is_up, const char *reason)
{
	int64_t now_ms = loop_now_ms(up->all->deps.loop);
	bool changed = !up->told || up->told_up != is_up;
	const char *end = strstr(reason, "; next try");
	size_t len = end ? (size_t)(end - reason) : strlen(reason);

	if (!changed && (is_up || now_ms - up->logged_ms < LOG_AGAIN_MS ||
				(strlen(up->logged) == len && memcmp(up->logged, reason, len) == 0)))
		return;
	up->logged_ms = now_ms;
	snprintf(up->logged, sizeof(up->logged), "%.*s", (int)len, reason);
	if (is_up)
		log_info("upstream=%s state=up address=%s", up->opts->head.name, reason);
	else
		log_warn("upstream=%s state=down reason=\"%s\"", up->opts->head.name, reason);
}

/* Every attempt to connect is a change for the bridge; the site hears of the link only when it comes or goes, or an
 * outage of weeks would fill the queue with its own story. */
static void state_changed(void *ctx, struct bridge *b, enum bridge_state state, const char *reason)
{
	struct upstream *up = ctx;
	bool is_up = state == BRIDGE_UP;

	(void)b;
	if (state == BRIDGE_CONNECTING)
		return;
	log_state(up, is_up, reason);
	if (up->told && up->told_up == is_up)
		return;
	up->told = true;
	up->told_up = is_up;
	up->all->deps.changed(up->all->deps.ctx, up->opts->head.name, is_up, reason);
}

static void upstream_free(struct upstream *up)
{
	if (!up)
		return;
	bridge_free(up->bridge);
	free(up->text);
	generation_unref(up->gen);
	free(up);
}

static int upstream_new(struct upstream **out, struct upstreams *u, struct generation *gen, size_t number)
{
	struct upstream *up = calloc(1, sizeof(*up));
	struct bridge_env env = {
		.exe = u->deps.exe,
		.store_dir = gen->opts->store.dir,
		.site = gen->opts->site,
		.version = WEIR_VERSION,
		.start_reason = u->applied ? "reload" : "start",
	};
	struct bridge_events events = {up, acknowledged, inbound, state_changed, NULL};
	int r = up ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	up->all = u;
	up->gen = generation_ref(gen);
	up->opts = (const struct bridge_opts *)gen->opts->upstreams.items + number;
	up->number = number;
	up->serial = ++u->serials;
	up->text = gateway_upstream_text(gen->opts, up->opts);
	env.opts_text = up->text;
	if (!up->text)
		r = -ENOMEM;
	if (r == 0)
		r = bridge_new(&up->bridge, u->deps.loop, up->opts, &env, &events);
	if (r < 0) {
		upstream_free(up);
		return r;
	}
	*out = up;
	return 0;
}

int upstreams_new(struct upstreams **out, const struct upstreams_deps *deps)
{
	struct upstreams *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->deps = *deps;
	*out = u;
	return 0;
}

void upstreams_free(struct upstreams *u)
{
	if (!u)
		return;
	while (u->list) {
		struct upstream *up = u->list;

		u->list = up->next;
		upstream_free(up);
	}
	free(u);
}

/* The place of an upstream that reads the same in gen, -1 when it changed or is gone. */
static long place_in(const struct upstream *up, const struct gateway_opts *g)
{
	const struct bridge_opts *list = g->upstreams.items;

	for (size_t i = 0; i < g->upstreams.count; i++) {
		char *text;
		bool same;

		if (strcmp(list[i].head.name, up->opts->head.name) != 0)
			continue;
		text = gateway_upstream_text(g, &list[i]);
		same = text && strcmp(text, up->text) == 0;
		free(text);
		return same ? (long)i : -1;
	}
	return -1;
}

/* Those that stay are renumbered; the others end, and what they had in flight is sent again by their successor. */
static void drop_changed(struct upstreams *u, const struct gateway_opts *g)
{
	struct upstream **at = &u->list;

	while (*at) {
		struct upstream *up = *at;
		long place = place_in(up, g);

		if (place >= 0) {
			up->number = (size_t)place;
			at = &up->next;
			continue;
		}
		log_info("upstream=%s state=stopping reason=\"its configuration changed\"", up->opts->head.name);
		*at = up->next;
		upstream_free(up);
	}
}

static bool runs(const struct upstreams *u, const char *name)
{
	for (const struct upstream *up = u->list; up; up = up->next)
		if (strcmp(up->opts->head.name, name) == 0)
			return true;
	return false;
}

int upstreams_apply(struct upstreams *u, struct generation *gen)
{
	const struct bridge_opts *list = gen->opts->upstreams.items;
	struct upstream **end = &u->list;
	char hash[GATEWAY_HASH];
	int first = 0;

	drop_changed(u, gen->opts);
	while (*end)
		end = &(*end)->next;
	for (size_t i = 0; i < gen->opts->upstreams.count; i++) {
		int r;

		if (runs(u, list[i].head.name))
			continue;
		r = upstream_new(end, u, gen, i);
		if (r < 0) {
			log_error("upstream=%s error=\"%s\"; it does not run", list[i].head.name, strerror(-r));
			first = first < 0 ? first : r;
			continue;
		}
		bridge_news((*end)->bridge, u->last_seq);
		end = &(*end)->next;
	}
	u->applied = true;
	gateway_hash(gen->opts, hash);
	for (struct upstream *up = u->list; up; up = up->next)
		bridge_configured(up->bridge, hash);
	return first;
}

void upstreams_news(struct upstreams *u, uint64_t last_seq)
{
	if (last_seq <= u->last_seq)
		return;
	u->last_seq = last_seq;
	for (struct upstream *up = u->list; up; up = up->next)
		bridge_news(up->bridge, last_seq);
}

void upstreams_stop(struct upstreams *u)
{
	for (struct upstream *up = u->list; up; up = up->next)
		bridge_stop(up->bridge);
}

void upstreams_hold_inbound(struct upstreams *u)
{
	u->deps.broker = NULL;
}

bool upstreams_running(const struct upstreams *u)
{
	for (const struct upstream *up = u->list; up; up = up->next)
		if (bridge_running(up->bridge))
			return true;
	return false;
}

size_t upstreams_count(const struct upstreams *u)
{
	size_t n = 0;

	for (const struct upstream *up = u->list; up; up = up->next)
		n++;
	return n;
}

const struct bridge_stats *upstreams_stats(const struct upstreams *u, size_t number)
{
	for (const struct upstream *up = u->list; up; up = up->next)
		if (up->number == number)
			return bridge_stats(up->bridge);
	return NULL;
}
