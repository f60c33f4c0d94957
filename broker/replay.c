/* SPDX-License-Identifier: MIT */
#include "broker/replay.h"

#include "broker/core.h"
#include "broker/deliver.h"
#include "broker/hold.h"

#include <stdlib.h>
#include <string.h>

enum { MUCH_WORK = 10000, PLACES = 16 };

struct replay {
	struct replay *next, **pprev;
	struct conn *conn;
	struct conn *waiters; /* the same, if it subscribes anew meanwhile */
	struct retain_walk walk;
	size_t at, len;    /* in wanted */
	size_t work, most; /* places looked at */
	uint8_t *wanted;   /* its own, once it waits */
};

/* --- the filters -------------------------------------------------------------------------------------------- */

struct wish {
	uint32_t opts, len;
};

size_t replay_put(uint8_t *out, uint32_t opts, struct span filter)
{
	struct wish w = {opts, (uint32_t)filter.len};

	memcpy(out, &w, sizeof(w));
	memcpy(out + sizeof(w), filter.at, filter.len);
	return sizeof(w) + filter.len;
}

struct replayed {
	struct session *session;
	uint32_t opts;
};

static void deliver_one(void *ctx, struct msg *m)
{
	const struct replayed *to = ctx;

	deliver_retained(to->session, m, to->opts);
}

/* Behind the filter at hand. */
static void next_wish(struct replay *r)
{
	struct wish w;

	memcpy(&w, r->wanted + r->at, sizeof(w));
	r->at += sizeof(w) + w.len;
}

/* So many places of the filter at hand. */
static void go_on(struct replay *r, size_t places)
{
	struct broker *b = r->conn->broker;
	struct replayed to = {.session = r->conn->session};
	struct wish w;
	size_t looked_at;

	memcpy(&w, r->wanted + r->at, sizeof(w));
	to.opts = w.opts;
	looked_at = retain_walk_on(&b->retain, &r->walk, (struct span){r->wanted + r->at + sizeof(w), w.len},
		broker_now_ms(b), places, deliver_one, &to);
	r->work += looked_at;
	b->turn.work += (uint32_t)(looked_at / TURN_STEPS);
	if (r->walk.node != 0)
		return;
	next_wish(r);
	retain_walk_begin(&r->walk);
	for (; r->work >= r->most && r->at < r->len; next_wish(r))
		session_dropped(r->conn->session);
}

static bool is_done(const struct replay *r)
{
	return r->at >= r->len || r->conn->doomed || r->conn->state != CONN_LIVE;
}

/* --- the queue ---------------------------------------------------------------------------------------------- */

void replay_start(struct broker *b)
{
	b->replays.last = &b->replays.first;
}

bool replay_waits(const struct broker *b)
{
	return b->replays.first;
}

static void join(struct replay *r)
{
	struct replays *all = &r->conn->broker->replays;

	r->next = NULL;
	r->pprev = all->last;
	*all->last = r;
	all->last = &r->next;
}

static void quit(struct replay *r)
{
	*r->pprev = r->next;
	if (r->next)
		r->next->pprev = r->pprev;
	else
		r->conn->broker->replays.last = r->pprev;
}

static void end(struct replay *r)
{
	struct broker *b = r->conn->broker;

	quit(r);
	retain_walk_end(&b->retain, &r->walk);
	hold_release(b, &r->waiters);
	r->conn->replay = NULL;
	b->replays.bytes -= r->len;
	free(r->wanted);
	free(r);
}

/* One for each connection: a later one is put behind it. */
static struct replay *replay_of(struct conn *c, struct replay *from)
{
	struct replay *r = c->replay ? c->replay : calloc(1, sizeof(*r));

	if (!r || c->replay)
		return r;
	*r = (struct replay){.conn = c};
	retain_walk_move(&c->broker->retain, &r->walk, &from->walk);
	c->replay = r;
	join(r);
	turn_again(c->broker);
	return r;
}

/* What is left of it waits. */
static int keep(struct conn *c, struct replay *from)
{
	struct broker *b = c->broker;
	size_t left = from->len - from->at;
	struct replay *r = b->replays.bytes + left <= (uint64_t)b->opts.input_memory ? replay_of(c, from) : NULL;
	uint8_t *wanted = r ? realloc(r->wanted, r->len + left) : NULL;

	if (!wanted) {
		retain_walk_end(&b->retain, &from->walk);
		b->stats.refused++;
		return RC_QUOTA; /* what is on its way already ends with the connection */
	}
	memcpy(wanted + r->len, from->wanted + from->at, left);
	r->wanted = wanted;
	r->len += left;
	r->most += from->most - from->work;
	b->replays.bytes += left;
	return 0;
}

int replay_begin(struct conn *c, uint8_t *wanted, size_t len)
{
	struct broker *b = c->broker;
	struct replay r = {
		.conn = c, .most = 4 * (size_t)b->retain.tree.live + MUCH_WORK, .len = len, .wanted = wanted};

	retain_walk_begin(&r.walk);
	while (!is_done(&r) && r.work < REPLAY_AT_ONCE && !c->replay)
		go_on(&r, REPLAY_AT_ONCE - r.work);
	if (!is_done(&r))
		return keep(c, &r);
	retain_walk_end(&b->retain, &r.walk);
	return 0;
}

bool replay_holds(struct conn *c)
{
	if (!c->replay)
		return false;
	hold_conn(c, &c->replay->waiters);
	return true;
}

void replay_forget(struct conn *c)
{
	if (c->replay)
		end(c->replay);
}

void replay_serve(struct broker *b, bool (*time_is_up)(struct broker *b))
{
	struct replay *r;

	while ((r = b->replays.first) != NULL) {
		bool over = false;

		while (!is_done(r) && !over) {
			go_on(r, PLACES);
			over = time_is_up(b);
		}
		quit(r);
		join(r);
		if (is_done(r))
			end(r);
		if (over)
			return;
	}
}
