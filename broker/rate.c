/* SPDX-License-Identifier: MIT */
#include "broker/rate.h"

#include "broker/core.h"
#include "broker/hold.h"
#include "broker/unrest.h"

enum { TICK_MS = 20, SECOND_US = 1000000 };

static int64_t cost_us(const struct broker_opts *o, size_t bytes)
{
	int64_t by_number = o->publish_rate > 0 ? SECOND_US / o->publish_rate : 0;
	int64_t by_bytes = o->publish_byte_rate > 0 ? (int64_t)bytes * SECOND_US / o->publish_byte_rate : 0;

	return by_number > by_bytes ? by_number : by_bytes;
}

bool rate_take(int64_t *paid_us, const struct broker_opts *o, size_t bytes, int64_t now_ms)
{
	int64_t now_us = now_ms * 1000;

	if (*paid_us < now_us - SECOND_US)
		*paid_us = now_us - SECOND_US;
	if (*paid_us > now_us)
		return false;
	*paid_us += cost_us(o, bytes);
	return true;
}

bool rate_allows(struct conn *c, size_t bytes)
{
	struct broker *b = c->broker;

	if (b->opts.publish_rate == 0 && b->opts.publish_byte_rate == 0)
		return true;
	if (rate_take(&c->paid_us, &b->opts, bytes, broker_now_ms(b)))
		return true;
	unrest_saw(b, UNREST_SLOWED, c->session->client_id, c->session->client_id_len);
	hold_conn(c, &b->rate_waiters);
	if (!b->rate_timer.armed)
		loop_arm(b->loop, &b->rate_timer, broker_now_ms(b) + TICK_MS);
	return false;
}

/* All of them try again; those still ahead of their time are held again, which arms the timer. */
void rate_tick(struct loop_timer *t)
{
	struct broker *b = (struct broker *)((char *)t - offsetof(struct broker, rate_timer));

	hold_release(b, &b->rate_waiters);
}
