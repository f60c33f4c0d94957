/* SPDX-License-Identifier: MIT */
#include "broker/rate.h"

#include "broker/core.h"
#include "broker/door.h"
#include "broker/hold.h"
#include "broker/unrest.h"

enum { TICK_MS = 20, SECOND_US = 1000000 };

static int64_t cost_us(const struct rate_terms *t, size_t bytes)
{
	int64_t by_number = t->messages > 0 ? SECOND_US / t->messages : 0;
	int64_t by_bytes = t->bytes > 0 ? (int64_t)bytes * SECOND_US / t->bytes : 0;

	return by_number > by_bytes ? by_number : by_bytes;
}

bool rate_take(int64_t *paid_us, const struct rate_terms *terms, size_t bytes, int64_t now_ms)
{
	int64_t now_us = now_ms * 1000;

	if (*paid_us < now_us - SECOND_US)
		*paid_us = now_us - SECOND_US;
	if (*paid_us > now_us)
		return false;
	*paid_us += cost_us(terms, bytes);
	return true;
}

/* The listener's word comes before the broker's, for each of the two. */
static struct rate_terms terms_of(const struct conn *c)
{
	const struct broker_opts *o = &c->broker->opts;
	struct rate_terms t = c->door ? c->door->rate : (struct rate_terms){0};

	t.messages = t.messages > 0 ? t.messages : o->publish_rate;
	t.bytes = t.bytes > 0 ? t.bytes : o->publish_byte_rate;
	return t;
}

bool rate_allows(struct conn *c, size_t bytes)
{
	struct broker *b = c->broker;
	struct rate_terms terms = terms_of(c);

	if (terms.messages == 0 && terms.bytes == 0)
		return true;
	if (rate_take(&c->paid_us, &terms, bytes, broker_now_ms(b)))
		return true;
	unrest_saw(b, UNREST_SLOWED, c, session_name(c->session), "");
	hold_conn(c, &b->rate_waiters);
	if (!b->rate_timer.armed)
		loop_arm(b->loop, &b->rate_timer, broker_now_ms(b) + TICK_MS);
	return false;
}

/* Whatever else it might be held for: it has used up more than it may. */
bool rate_slows(const struct conn *c)
{
	struct rate_terms terms = terms_of(c);

	return c->held && (terms.messages > 0 || terms.bytes > 0) && c->paid_us > broker_now_ms(c->broker) * 1000;
}

/* All of them try again; those still ahead of their time are held again, which arms the timer. */
void rate_tick(struct loop_timer *t)
{
	struct broker *b = (struct broker *)((char *)t - offsetof(struct broker, rate_timer));

	hold_release(b, &b->rate_waiters);
}
