/* SPDX-License-Identifier: MIT */
#include "broker/durable.h"

#include "base/log.h"
#include "broker/acks.h"
#include "broker/area.h"
#include "broker/core.h"
#include "broker/entry.h"
#include "broker/hold.h"
#include "broker/ours.h"
#include "broker/restore.h"
#include "broker/shelf.h"

#include <errno.h>
#include <string.h>

enum { STEP_MS = 1000, CLOCK_EVERY_MS = 3600 * 1000, FULL_QUIET_MS = 60 * 1000 };

bool durable_open(const struct broker *b)
{
	return b->durable.ledger.ops && !b->freeing;
}

bool durable_safe(const struct broker *b, struct tickets t)
{
	return t.store <= b->committed && t.ledger <= b->durable.committed;
}

/* --- turns -------------------------------------------------------------------------------------------------- */

/* At the end of this turn, so that all of a packet is in one commit. */
static void changed(struct broker *b)
{
	loop_later(b->loop, &b->durable.turn_over);
}

/* What waited for a commit, or for room. */
static void go_on(struct broker *b)
{
	owed_release(b);
	orders_give(b);
	acks_release(b);
	arrivals_answer(b);
	if (ours_waiting(b))
		ours_retry(b);
	hold_release(b, &b->durable.waiters);
	hold_release(b, &b->store_waiters); /* those whose answers were too many */
}

/* Is more safe than it was? */
static bool hear(struct durable *k)
{
	uint64_t before = k->committed;

	k->committed = k->ledger.ops->committed(k->ledger.ctx);
	return k->committed != before;
}

/* What came back during the turn is heard in it: the next batch needs not wait for the next. */
static void turn_over(struct loop_task *t)
{
	struct broker *b = (struct broker *)((char *)t - offsetof(struct broker, durable.turn_over));
	struct durable *k = &b->durable;

	if (hear(k))
		go_on(b);
	k->ledger.ops->turn_over(k->ledger.ctx);
}

static void woke(struct loop_watch *w, uint32_t events)
{
	struct broker *b = (struct broker *)((char *)w - offsetof(struct broker, durable.watch));

	(void)events;
	(void)hear(&b->durable);
	go_on(b);   /* there may be room without a commit */
	changed(b); /* the next batch may have waited for this one, or for its time */
}

/* --- entries ------------------------------------------------------------------------------------------------ */

static void tell_full(struct broker *b)
{
	struct durable *k = &b->durable;

	if (k->full_told)
		return;
	k->full_told = true;
	k->full_told_ms = broker_now_ms(b);
	log_warn("broker: the ledger is full (broker.state_bytes): messages for sessions that are away are refused "
		 "until some of them come back or expire");
	if (b->notice)
		b->notice(b->notice_ctx, "broker-ledger-full",
			"what the broker keeps for sessions has reached broker.state_bytes; new messages for those who "
			"are away are refused");
}

int durable_room(struct broker *b)
{
	struct durable *k = &b->durable;
	int r = durable_open(b) ? k->ledger.ops->room(k->ledger.ctx) : 0;

	if (r == LEDGER_FULL)
		tell_full(b);
	else if (k->full_told && r == 0 && broker_now_ms(b) - k->full_told_ms >= FULL_QUIET_MS)
		k->full_told = false; /* at the bound there is room and none many times a second */
	return r;
}

uint64_t durable_ticket(struct broker *b)
{
	struct durable *k = &b->durable;

	if (!durable_open(b))
		return 0;
	changed(b);
	return k->ledger.ops->ticket(k->ledger.ctx);
}

uint64_t durable_put(struct broker *b, const struct entry *e)
{
	struct durable *k = &b->durable;
	struct entry_bytes bytes;
	uint64_t number = 0;
	int r;

	if (!durable_open(b))
		return 0;
	entry_encode(&bytes, e);
	r = k->ledger.ops->put(k->ledger.ctx, bytes.parts, bytes.count, &number);
	changed(b);
	if (r == 0)
		return number;
	k->failed++;
	if (!k->failure_told)
		log_error("broker: the ledger does not take an entry: %s; what depends on it is not acknowledged",
			strerror(-r));
	k->failure_told = true;
	return 0;
}

void durable_strike(struct broker *b, uint64_t *number)
{
	struct durable *k = &b->durable;

	if (*number == 0 || !durable_open(b))
		return;
	k->ledger.ops->drop(k->ledger.ctx, *number);
	*number = 0;
	changed(b);
}

/* --- messages that several are to get ----------------------------------------------------------------------- */

static uint32_t new_place(struct durable *k)
{
	uint32_t at = k->kept_spare, cap = k->kept_cap > 0 ? k->kept_cap + k->kept_cap / 2 : 64;
	struct kept *more;

	if (at != 0) {
		k->kept_spare = k->kept[at].refs;
		return at;
	}
	if (k->kept_used + 1 >= k->kept_cap) {
		more = area_resize(k->kept, k->kept_cap * sizeof(*more), cap * sizeof(*more));
		if (!more)
			return 0;
		k->kept = more;
		k->kept_cap = cap;
	}
	return ++k->kept_used;
}

uint32_t durable_keep(struct broker *b, uint64_t number)
{
	uint32_t at = new_place(&b->durable);

	if (at != 0)
		b->durable.kept[at] = (struct kept){number, 1};
	return at;
}

void durable_unkeep(struct broker *b, uint32_t kept)
{
	struct durable *k = &b->durable;

	if (kept == 0 || --k->kept[kept].refs > 0)
		return;
	durable_strike(b, &k->kept[kept].number);
	k->kept[kept].refs = k->kept_spare;
	k->kept_spare = kept;
}

/* --- time --------------------------------------------------------------------------------------------------- */

int64_t durable_now_ms(const struct broker *b)
{
	return broker_now_ms(b) + b->durable.steady_ms;
}

/* Written again when the wall clock has been set: the time of the next downtime is told by the wall clock, from here. */
static void write_clock(struct broker *b)
{
	struct durable *k = &b->durable;
	struct entry e = {.kind = ENTRY_CLOCK, .at_ms = durable_now_ms(b), .wall_ms = clock_wall_ms(b->clock)};
	uint64_t before = k->clock;

	if (e.wall_ms < 0 || e.at_ms < 0)
		return;
	k->offset_ms = e.wall_ms - e.at_ms;
	k->clock_ms = e.at_ms;
	k->clock = durable_put(b, &e);
	if (k->clock != 0)
		durable_strike(b, &before);
	else
		k->clock = before;
}

void durable_tick(struct broker *b)
{
	struct durable *k = &b->durable;
	int64_t now_ms = durable_now_ms(b), step_ms = clock_wall_ms(b->clock) - now_ms - k->offset_ms;

	if (!durable_open(b))
		return;
	if (step_ms > STEP_MS || step_ms < -STEP_MS || now_ms - k->clock_ms > CLOCK_EVERY_MS)
		write_clock(b);
	shelf_tick(b);
	changed(b); /* what waits for company is looked at */
}

/* --- life --------------------------------------------------------------------------------------------------- */

int durable_start(struct broker *b, const struct ledger *ledger)
{
	struct durable *k = &b->durable;
	int r;

	k->ledger = *ledger;
	k->turn_over.run = turn_over;
	k->watch.run = woke;
	r = restore(b);
	if (r == 0)
		r = loop_watch(b->loop, &k->watch, ledger->ops->wake_fd(ledger->ctx), EPOLLIN);
	if (r < 0)
		return r;
	k->committed = ledger->ops->committed(ledger->ctx);
	write_clock(b);
	return 0;
}

void durable_stop(struct broker *b)
{
	if (!durable_open(b))
		return;
	shelf_write_all(b);
	write_clock(b);
	b->durable.ledger.ops->turn_over(b->durable.ledger.ctx);
}

void durable_fini(struct broker *b)
{
	struct durable *k = &b->durable;

	shelf_fini(b);
	area_free(k->kept, k->kept_cap * sizeof(*k->kept));
}
