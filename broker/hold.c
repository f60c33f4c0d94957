/* SPDX-License-Identifier: MIT */
#include "broker/hold.h"

#include "broker/core.h"
#include "broker/deliver.h"
#include "broker/input.h"

static void put_first(struct conn *c, struct conn **list)
{
	c->wait_next = *list;
	if (*list)
		(*list)->wait_pprev = &c->wait_next;
	c->wait_pprev = list;
	*list = c;
}

void hold_join(struct conn *c, struct conn **waiters)
{
	c->reading = false;
	put_first(c, waiters);
	conn_want_events(c);
}

void hold_conn(struct conn *c, struct conn **waiters)
{
	if (c->held)
		return;
	c->held = true;
	hold_join(c, waiters);
}

void hold_turn_over(struct conn **from, struct conn **to)
{
	while (*from) {
		struct conn *c = *from;

		hold_leave(c);
		put_first(c, to);
	}
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
	if (*waiters)
		loop_later(b->loop, &b->turn.end);
	hold_turn_over(waiters, &b->resume);
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
	if (c)
		c->wait_pprev = &c;
	while (c) {
		struct conn *one = c;

		hold_leave(one);
		input_resume(one);
	}
}
