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

static void slice_begins(struct turn *t)
{
	t->work = t->looked = t->began = t->packets = 0;
	t->until_us = 0;
	t->quantum = TURN_QUANTUM;
	t->over = false;
}

static bool somebody_waits(struct turn *t)
{
	return !is_empty(&t->newcomers) || loop_has_ready(of(t)->loop);
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

void turn_read(struct conn *c, size_t n)
{
	if (n >= TURN_LARGE)
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
	while (!t->full && !slice_is_over(t) && (c = pop(&t->greedy)) != NULL) {
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

bool turn_waits(struct conn *c)
{
	struct turn *t = &c->broker->turn;
	bool newcomer = c->state == CONN_NEW;

	if (!newcomer && c->greedy == 0)
		return false;
	if (newcomer && is_empty(&t->newcomers) && turn_has_time(c->broker)) /* none passes one that came before it */
		return false;
	hold_join(c, newcomer ? &t->newcomers.in : &t->greedy.in);
	again(t);
	return true;
}

static void serve_newcomers(struct turn *t)
{
	struct conn *c;

	while (turn_has_time(of(t)) && (c = pop(&t->newcomers)) != NULL)
		(void)input_serve(c, false);
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
	slice_begins(t);
	while (t->late && !time_is_up(t, true)) {
		struct conn *c = t->late;

		unlink_dirty(c);
		conn_turn_end(c);
	}
	slice_begins(t);
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
	if (t->draining && !somebody_waits(t))
		flush_late(t);
	t->newcomers_until_us = 0;
	if (t->late || !is_empty(&t->greedy) || !is_empty(&t->newcomers))
		again(t);
}

static void next(struct loop_timer *timer)
{
	struct turn *t = (struct turn *)(void *)((char *)timer - offsetof(struct turn, next));

	t->filling = false;
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
	slice_begins(&b->turn);
	b->turn.end.run = end;
	b->turn.next.run = next;
}
