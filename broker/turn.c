/* SPDX-License-Identifier: MIT */
/* A turn, in the order of the loop: sockets (polite ones publish, greedy ones join the queue), timers (`next`: newcomers,
 * then a slice for the greedy), tasks (`end`: outputs). What is left over arms `next` for the coming turn, which so does
 * not sleep. */
#include "broker/turn.h"

#include "broker/core.h"
#include "broker/hold.h"
#include "broker/input.h"

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

static struct conn *pop(struct turn_queue *q)
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

/* --- slices ------------------------------------------------------------------------------------------------- */

static int64_t slice_us(const struct turn *t)
{
	return t->calm < TURN_CALM ? TURN_SLICE_US : TURN_CALM_US;
}

static void slice_begins(struct turn *t)
{
	t->work = t->looked = t->began = 0;
	t->until_us = 0;
	t->over = false;
}

static bool slice_is_over(struct turn *t)
{
	int64_t now_us;

	if (t->over || t->work - t->looked < LOOK_EVERY)
		return t->over;
	t->looked = t->work;
	now_us = clock_mono_us(of(t)->clock);
	if (t->until_us == 0)
		t->until_us = now_us + slice_us(t);
	t->over = now_us >= t->until_us || t->work >= TURN_FILL_WORK;
	return t->over;
}

static bool may_go_on(struct turn *t, const struct conn *c)
{
	uint32_t its = t->work - t->began;

	if (c->greedy > 0 && is_empty(&t->greedy) && !t->draining)
		t->filling = true; /* nobody waits: it need not either, which saves keeping what it sent */
	if (t->filling)
		return !t->full && !slice_is_over(t);
	return c->greedy == 0 && its < (slice_is_over(t) ? TURN_QUANTUM_LEAST : TURN_QUANTUM);
}

bool turn_holds(struct conn *c)
{
	struct turn *t = &c->broker->turn;

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
	b->turn.filling = false;
}

void turn_read(struct conn *c, size_t n)
{
	if (n >= TURN_SMALL)
		return;
	if (c->greedy > 0)
		c->greedy--;
	else
		c->broker->turn.calm = 0;
}

/* A slice of their own, however long the polite ones took. */
static void fill(struct turn *t)
{
	struct conn *c;

	slice_begins(t);
	t->filling = true;
	while (!t->full && !slice_is_over(t) && (c = pop(&t->greedy)) != NULL)
		input_resume(c);
	t->filling = false;
	t->filled += t->work;
	t->slices++;
}

static void slice_ends(struct turn *t)
{
	t->filling = false;
	t->flushes = 0;
	t->draining |= t->full || t->filled >= TURN_FILL_WORK || t->slices >= TURN_FILL_SLICES ||
		       (t->late && is_empty(&t->greedy));
	slice_begins(t);
}

/* --- newcomers ---------------------------------------------------------------------------------------------- */

bool turn_has_time(struct broker *b)
{
	struct turn *t = &b->turn;
	int64_t now_us = clock_mono_us(b->clock);

	if (t->newcomers_until_us == 0) {
		t->newcomers_until_us = now_us + TURN_NEWCOMERS_US;
		loop_later(b->loop, &t->end);
	}
	return now_us <= t->newcomers_until_us;
}

bool turn_newcomer_waits(struct conn *c)
{
	struct turn *t = &c->broker->turn;

	if (is_empty(&t->newcomers) && turn_has_time(c->broker)) /* none passes another that came before it */
		return false;
	hold_join(c, &t->newcomers.in);
	again(t);
	return true;
}

static void serve_newcomers(struct turn *t)
{
	struct conn *c;

	while (turn_has_time(of(t)) && (c = pop(&t->newcomers)) != NULL)
		input_newcomer(c);
}

/* --- outputs ------------------------------------------------------------------------------------------------ */

static void unlink_dirty(struct conn *c)
{
	*c->dirty_pprev = c->dirty_next;
	if (c->dirty_next)
		c->dirty_next->dirty_pprev = c->dirty_pprev;
	c->dirty = c->late = false;
}

void turn_forget(struct conn *c)
{
	if (c->dirty)
		unlink_dirty(c);
}

static void link_dirty(struct conn *c, bool late)
{
	struct turn *t = &c->broker->turn;
	struct conn **list = late ? &t->late : &t->dirty;

	c->dirty_next = *list;
	if (*list)
		(*list)->dirty_pprev = &c->dirty_next;
	c->dirty_pprev = list;
	*list = c;
	c->dirty = true;
	c->late = late;
	loop_later(c->broker->loop, &t->end);
}

void turn_dirty(struct conn *c)
{
	bool late = c->broker->turn.filling && !c->doomed;

	if (c->dirty && (!c->late || late))
		return;
	turn_forget(c); /* what is not greedy takes along what was to wait */
	link_dirty(c, late);
}

static void flush_late(struct turn *t)
{
	int64_t until_us = clock_mono_us(of(t)->clock) + slice_us(t);

	while (t->late) {
		struct conn *c = t->late;

		unlink_dirty(c);
		conn_turn_end(c);
		if (clock_mono_us(of(t)->clock) >= until_us)
			break;
	}
	if (t->late)
		return;
	t->draining = t->full = false;
	t->filled = t->slices = 0;
}

static void flush_dirty(struct turn *t)
{
	struct conn *c;

	while ((c = t->dirty) != NULL) {
		unlink_dirty(c);
		conn_turn_end(c);
	}
}

static void end(struct loop_task *task)
{
	struct turn *t = (struct turn *)(void *)((char *)task - offsetof(struct turn, end));

	hold_resume_all(of(t));
	flush_dirty(t);
	slice_ends(t);
	if (t->draining && t->calm == TURN_CALM)
		flush_late(t);
	t->newcomers_until_us = 0;
	if (t->late || !is_empty(&t->greedy) || !is_empty(&t->newcomers))
		again(t);
}

static void next(struct loop_timer *timer)
{
	struct turn *t = (struct turn *)(void *)((char *)timer - offsetof(struct turn, next));

	t->filling = false;
	t->calm += t->calm < TURN_CALM;
	flush_dirty(t); /* what polite ones sent does not wait for what comes now */
	if (!is_empty(&t->newcomers))
		serve_newcomers(t);
	if (t->draining)
		flush_late(t);
	else if (!is_empty(&t->greedy))
		fill(t);
	loop_later(of(t)->loop, &t->end);
}

void turn_start(struct broker *b)
{
	b->turn.end.run = end;
	b->turn.next.run = next;
}
