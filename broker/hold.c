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

	if (c->waiters && (c->slow || (c->out.bytes <= CONN_LOW && !queued)))
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
