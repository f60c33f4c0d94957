/* SPDX-License-Identifier: MIT */
#include "broker/hold.h"

#include "broker/core.h"
#include "broker/deliver.h"
#include "broker/input.h"

void hold_conn(struct conn *c, struct conn **waiters)
{
	if (c->held)
		return;
	c->held = true;
	c->reading = false;
	c->wait_next = *waiters;
	if (*waiters)
		(*waiters)->wait_pprev = &c->wait_next;
	c->wait_pprev = waiters;
	*waiters = c;
	conn_want_events(c);
}

void hold_turn_begins(struct broker *b)
{
	b->turn_work = b->turn_looked = 0;
	b->turn_until_us = 0;
}

static bool turn_is_over(struct broker *b)
{
	enum { LOOK_EVERY = 256 };
	int64_t now_us;

	if (b->turn_work >= HOLD_TURN_WORK)
		return true;
	if (b->turn_work - b->turn_looked < LOOK_EVERY)
		return false;
	b->turn_looked = b->turn_work;
	now_us = clock_mono_us(b->clock);
	if (b->turn_until_us == 0)
		b->turn_until_us = now_us + HOLD_TURN_US;
	if (now_us < b->turn_until_us)
		return false;
	b->turn_work = HOLD_TURN_WORK;
	return true;
}

bool hold_for_turn(struct conn *c)
{
	struct broker *b = c->broker;

	if (!turn_is_over(b))
		return false;
	hold_conn(c, &b->turn_waiters);
	if (!b->turn_timer.armed)
		loop_arm(b->loop, &b->turn_timer, broker_now_ms(b));
	return true;
}

/* Released now, they run at the end of this turn, after what the sockets brought; those for whom there is no room again
 * stand in the same order as before. */
void hold_next_turn(struct loop_timer *t)
{
	struct broker *b = (struct broker *)((char *)t - offsetof(struct broker, turn_timer));

	hold_release(b, &b->turn_waiters);
}

void hold_leave(struct conn *c)
{
	if (!c->wait_pprev)
		return;
	*c->wait_pprev = c->wait_next;
	if (c->wait_next)
		c->wait_next->wait_pprev = c->wait_pprev;
	c->wait_next = NULL;
	c->wait_pprev = NULL;
}

void hold_release(struct broker *b, struct conn **waiters)
{
	while (*waiters) {
		struct conn *c = *waiters;

		hold_leave(c);
		c->wait_next = b->resume;
		if (b->resume)
			b->resume->wait_pprev = &c->wait_next;
		c->wait_pprev = &b->resume;
		b->resume = c;
		loop_later(b->loop, &b->turn_end);
	}
}

/* Receivers that drain free the publishers that wait for them; one that does not within CONN_GRACE_MS is slow: from
 * then on its queue's bound deals with it, and nobody waits. */
void hold_unchoke(struct conn *c)
{
	bool queued = c->session && session_queued(c->session) >= DELIVER_SOFT / 2;
	bool drained = c->out.bytes <= CONN_LOW && !queued;

	if (drained)
		c->choked_ms = 0;
	if (c->waiters && (c->slow || drained))
		hold_release(c->broker, &c->waiters);
}

void hold_resume_all(struct broker *b)
{
	struct conn *c = b->resume;

	/* those released while these run wait for the next round */
	b->resume = NULL;
	hold_turn_begins(b); /* those that were held have a turn's worth of their own */
	if (c)
		c->wait_pprev = &c;
	while (c) {
		struct conn *one = c;

		hold_leave(one);
		input_resume(one);
	}
}
