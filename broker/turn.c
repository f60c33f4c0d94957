/* SPDX-License-Identifier: MIT */
/* A turn, in the order of the loop: sockets (polite ones publish, greedy ones join the queue), timers (`next`: slices for
 * all others, in rotation), tasks (`end`: outputs). What is left over arms `next` for the coming turn, which so does not
 * sleep. */
#include "broker/turn.h"

#include "broker/core.h"
#include "broker/hold.h"
#include "broker/input.h"
#include "broker/leave.h"

#include <string.h>

enum { LOOK_EVERY = 32 };

static struct broker *of(struct turn *t)
{
	return (struct broker *)(void *)((char *)t - offsetof(struct broker, turn));
}

/* --- queues ------------------------------------------------------------------------------------------------- */

static bool is_empty(const struct turn_queue *q)
{
	return !q->in && !q->out;
}

struct conn *turn_pop(struct turn_queue *q)
{
	struct conn *c;

	if (!q->out)
		hold_turn_over(&q->in, &q->out);
	c = q->out;
	if (c)
		hold_leave(c);
	return c;
}

static void again(struct turn *t)
{
	if (!t->next.armed)
		loop_arm(of(t)->loop, &t->next, broker_now_ms(of(t)));
}

void turn_again(struct broker *b)
{
	again(&b->turn);
}

/* --- slices ------------------------------------------------------------------------------------------------- */

static void slice_begins(struct turn *t)
{
	t->work = t->looked = t->began = t->packets = 0;
	t->until_us = 0;
	t->quantum = TURN_QUANTUM;
	t->over = false;
}

static bool somebody_waits(struct turn *t)
{
	return !is_empty(&t->newcomers) || t->lists[TURN_GONE].first || leave_waits(of(t)) || of(t)->stock.spent ||
	       loop_has_ready(of(t)->loop);
}

/* Is the time up that began at the first look? Whom it belongs to, in turn.h: nobody can be disturbed by more of it. */
static bool time_is_up(struct turn *t, bool may_be_longer)
{
	int64_t now_us = clock_mono_us(of(t)->clock);

	if (t->until_us == 0) {
		t->until_us = now_us + TURN_SLICE_US;
		t->longest_us = now_us + TURN_LONGEST_US;
	}
	if (now_us < t->until_us)
		return false;
	if (!may_be_longer || now_us >= t->longest_us || somebody_waits(t))
		return true;
	t->until_us = now_us + TURN_SLICE_US;
	return false;
}

static bool look(struct turn *t)
{
	if (t->work - t->looked < LOOK_EVERY)
		return false;
	t->looked = t->work;
	return true;
}

static bool slice_is_over(struct turn *t)
{
	if (!t->over && look(t))
		t->over = time_is_up(t, true) || t->work >= TURN_FILL_WORK;
	return t->over;
}

/* The longer a turn becomes, the less of it each of the polite ones has. */
static uint32_t quantum(struct turn *t)
{
	if (look(t) && time_is_up(t, false)) {
		t->until_us += TURN_SLICE_US;
		t->quantum = t->quantum > 2 * TURN_QUANTUM_LEAST ? t->quantum / 2 : TURN_QUANTUM_LEAST;
	}
	return t->quantum;
}

static bool may_go_on(struct turn *t, const struct conn *c)
{
	if (t->filling)
		return !t->full && !slice_is_over(t);
	return c->greedy == 0 && t->work - t->began < quantum(t);
}

bool turn_holds(struct conn *c)
{
	struct turn *t = &c->broker->turn;

	t->work += ++t->packets % TURN_CHEAP == 0;
	if (may_go_on(t, c))
		return false;
	c->greedy = TURN_PATIENCE;
	hold_conn(c, &t->greedy.in);
	again(t);
	return true;
}

bool turn_is_full(struct turn *t)
{
	t->full |= t->filling && ++t->flushes > TURN_FLUSHES;
	return t->full;
}

void turn_serves(struct broker *b)
{
	b->turn.began = b->turn.work;
}

size_t turn_bytes(struct conn *c)
{
	size_t most = (size_t)TURN_LARGE / TURN_QUANTUM * quantum(&c->broker->turn);

	return c->greedy > 0 ? CONN_INPUT : most > TURN_SMALL ? most : TURN_SMALL;
}

void turn_read(struct conn *c, size_t n)
{
	struct turn *t = &c->broker->turn;

	t->work += (uint32_t)(n / TURN_BYTES);
	if (n >= TURN_LARGE || (c->in && c->in->len >= TURN_LARGE) ||
		(!t->filling && t->work - t->began > TURN_QUANTUM))
		c->greedy = TURN_PATIENCE;
	else if (n < TURN_SMALL && c->greedy > 0)
		c->greedy--;
}

/* A slice of their own, however long the polite ones took. */
static void fill(struct turn *t)
{
	struct conn *c;

	slice_begins(t);
	t->filling = true;
	while (!t->full && !slice_is_over(t) && (c = turn_pop(&t->greedy)) != NULL) {
		t->work += LOOK_EVERY; /* reading costs, too: the clock is looked at for each */
		if (input_serve(c, true))
			hold_join(c, &t->greedy.in);
	}
	t->filling = false;
	t->filled += t->work;
	t->slices++;
}

static void slice_ends(struct turn *t)
{
	t->filling = false;
	t->flushes = 0;
	t->draining |= t->full || t->filled >= TURN_FILL_WORK || t->slices >= TURN_FILL_SLICES ||
		       (t->lists[TURN_LATE].first && is_empty(&t->greedy));
	slice_begins(t);
}

/* --- newcomers and leavers ---------------------------------------------------------------------------------- */

bool turn_has_time(struct broker *b, enum turn_share share)
{
	struct turn *t = &b->turn;
	int64_t now_us = clock_mono_us(b->clock);

	if (t->shares_until_us[share] == 0) {
		t->shares_until_us[share] = now_us + TURN_SHARE_US;
		loop_later(b->loop, &t->end);
	}
	return now_us <= t->shares_until_us[share];
}

bool turn_waits(struct conn *c)
{
	struct turn *t = &c->broker->turn;
	bool newcomer = c->state == CONN_NEW;

	if (!newcomer && c->greedy == 0)
		return false;
	if (newcomer && is_empty(&t->newcomers) && turn_has_time(c->broker, TURN_NEWCOMERS)) /* none passes another */
		return false;
	hold_join(c, newcomer ? &t->newcomers.in : &t->greedy.in);
	again(t);
	return true;
}

static struct conn *next_newcomer(struct turn *t)
{
	struct conn *c = turn_pop(&t->newcomers);

	return c ? c : shakes_next(of(t));
}

static void serve_newcomers(struct turn *t)
{
	struct conn *c;

	while (turn_has_time(of(t), TURN_NEWCOMERS) && (c = next_newcomer(t)) != NULL)
		(void)input_serve(c, false);
}

/* --- outputs ------------------------------------------------------------------------------------------------ */

static void unlink_dirty(struct conn *c)
{
	*c->dirty_pprev = c->dirty_next;
	if (c->dirty_next)
		c->dirty_next->dirty_pprev = c->dirty_pprev;
	else
		c->broker->turn.lists[c->list].last = c->dirty_pprev;
	c->dirty = false;
}

void turn_forget(struct conn *c)
{
	if (c->dirty)
		unlink_dirty(c);
}

static void link_dirty(struct conn *c, enum turn_list list)
{
	struct turn *t = &c->broker->turn;

	c->dirty_next = NULL;
	c->dirty_pprev = t->lists[list].last;
	*t->lists[list].last = c;
	t->lists[list].last = &c->dirty_next;
	c->dirty = true;
	c->list = list & 3u;
	loop_later(c->broker->loop, &t->end);
}

void turn_dirty(struct conn *c)
{
	const struct turn *t = &c->broker->turn;
	enum turn_list list = c->doomed                ? TURN_NOW
			      : t->filling             ? TURN_LATE
			      : t->wide || t->clearing ? TURN_WIDE_ONES
						       : TURN_NOW;

	if (c->dirty && (c->list <= list || c->list == TURN_GONE))
		return;
	turn_forget(c); /* what is not greedy takes along what was to wait */
	link_dirty(c, list);
}

void turn_later(struct conn *c)
{
	if (!c->dirty)
		link_dirty(c, TURN_WIDE_ONES);
}

static struct conn *take(struct turn *t, enum turn_list list)
{
	struct conn *c = t->lists[list].first;

	if (c)
		unlink_dirty(c);
	return c;
}

/* A slice for these; true: none is left. */
static bool flush_slice(struct turn *t, enum turn_list list)
{
	struct conn *c;

	slice_begins(t);
	while (t->lists[list].first && !time_is_up(t, true) && (c = take(t, list)) != NULL)
		conn_turn_end(c);
	slice_begins(t);
	return !t->lists[list].first;
}

static void flush_late(struct turn *t)
{
	if (!flush_slice(t, TURN_LATE))
		return;
	t->draining = t->full = false;
	t->filled = t->slices = 0;
}

/* To close a socket takes longer than to write to it. */
static void flush_now(struct turn *t)
{
	struct conn *c;

	while ((c = take(t, TURN_NOW)) != NULL) {
		if (c->doomed && (t->lists[TURN_GONE].first || !turn_has_time(of(t), TURN_LEAVERS))) {
			loop_unwatch(of(t)->loop, &c->watch); /* what it sends meanwhile wakes nobody */
			link_dirty(c, TURN_GONE);
		} else {
			conn_turn_end(c);
		}
	}
}

bool turn_has_gone(const struct broker *b)
{
	return b->turn.lists[TURN_GONE].first;
}

static void serve_leavers(struct turn *t)
{
	struct conn *c;

	while (t->lists[TURN_GONE].first && turn_has_time(of(t), TURN_LEAVERS) && (c = take(t, TURN_GONE)) != NULL)
		conn_turn_end(c);
	leave_serve(of(t));
	while (of(t)->stock.spent && turn_has_time(of(t), TURN_LEAVERS))
		stock_give_back(&of(t)->stock);
}

/* --- retained messages ---------------------------------------------------------------------------------------- */

static bool replay_time_is_up(struct broker *b)
{
	return time_is_up(&b->turn, true);
}

static void serve_replays(struct turn *t)
{
	slice_begins(t);
	replay_serve(of(t), replay_time_is_up);
	slice_begins(t);
}

/* --- the end of a turn ---------------------------------------------------------------------------------------- */

static bool is_left(struct turn *t)
{
	for (int list = TURN_WIDE_ONES; list < TURN_LISTS; list++)
		if (t->lists[list].first)
			return true;
	return !is_empty(&t->greedy) || !is_empty(&t->newcomers) || of(t)->stock.spent || leave_waits(of(t)) ||
	       replay_waits(of(t)) || shakes_have_next(of(t));
}

static void end(struct loop_task *task)
{
	struct turn *t = (struct turn *)(void *)((char *)task - offsetof(struct turn, end));

	hold_resume_all(of(t));
	flush_now(t);
	slice_ends(t);
	if (t->lists[TURN_WIDE_ONES].first && !somebody_waits(t))
		flush_slice(t, TURN_WIDE_ONES);
	if (t->draining && !somebody_waits(t))
		flush_late(t);
	memset(t->shares_until_us, 0, sizeof(t->shares_until_us));
	if (is_left(t))
		again(t);
}

static void serve_wide(struct turn *t)
{
	flush_slice(t, TURN_WIDE_ONES);
}

static void serve_greedy(struct turn *t)
{
	if (t->draining)
		flush_late(t);
	else if (!is_empty(&t->greedy))
		fill(t);
}

static void serve_others(struct turn *t)
{
	static void (*const serve[])(struct turn * t) = {
		serve_greedy, serve_leavers, serve_newcomers, serve_wide, serve_replays};
	enum { KINDS = sizeof(serve) / sizeof(serve[0]) };
	int64_t until_us = clock_mono_us(of(t)->clock) + TURN_SPARE_US;
	uint32_t served = 0;

	do
		serve[(t->first + served) % KINDS](t);
	while (++served < KINDS && (clock_mono_us(of(t)->clock) < until_us || !loop_has_ready(of(t)->loop)));
	t->first = (t->first + served) % KINDS;
}

static void next(struct loop_timer *timer)
{
	struct turn *t = (struct turn *)(void *)((char *)timer - offsetof(struct turn, next));

	t->filling = false;
	flush_now(t); /* what polite ones sent does not wait for what comes now */
	serve_others(t);
	loop_later(of(t)->loop, &t->end);
}

void turn_start(struct broker *b)
{
	slice_begins(&b->turn);
	for (int list = 0; list < TURN_LISTS; list++)
		b->turn.lists[list].last = &b->turn.lists[list].first;
	b->turn.end.run = end;
	b->turn.next.run = next;
}
