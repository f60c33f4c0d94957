/* SPDX-License-Identifier: MIT */
/* keep() first, then the taps, then delivery. What said "not now" is asked again when the store wakes us, and every
 * RETRY_MS, since a tap has no way to wake us. */
#include "broker/promise.h"

#include "base/log.h"
#include "broker/acks.h"
#include "broker/hold.h"
#include "broker/ours.h"

#include <errno.h>
#include <string.h>

enum { RETRY_MS = 10 };

static int keep(struct broker *b, struct post *p, struct progress *progress)
{
	struct msg *m = post_msg(b, p);
	int r = m ? b->persist.ops->keep(b->persist.ctx, m, &progress->ticket) : -ENOMEM;

	if (r == PERSIST_BUSY)
		return PROMISE_LATER;
	progress->kept = true;
	if (r == 0) {
		b->stats.stored++;
		return 0;
	}
	b->stats.store_refused++;
	progress->ticket = 0;
	if (r < 0)
		log_warn("broker: the store failed to take a message (%s); it is not acknowledged", strerror(-r));
	return p->qos > 0 && p->from ? PROMISE_FULL : 0;
}

static bool give(struct broker *b, const struct tap *t, struct post *p)
{
	struct msg *m = post_msg(b, p);

	return m && (t->fn ? t->fn(t->ctx, m) : orders_take(b, p, m));
}

int promise_take(struct broker *b, const struct route *r, struct post *p, bool stored, struct progress *progress)
{
	if (r->selected && !stored && !progress->kept) {
		int result = keep(b, p, progress);

		if (result != 0)
			return result;
	}
	while (progress->taps < r->tap_count) {
		if (!give(b, &b->taps[r->taps[progress->taps]], p))
			return PROMISE_LATER;
		progress->taps++;
	}
	return 0;
}

/* --- waking ------------------------------------------------------------------------------------------------- */

static void retry(struct loop_timer *t)
{
	struct broker *b = (struct broker *)((char *)t - offsetof(struct broker, retry));

	orders_give(b);
	arrivals_answer(b);
	ours_retry(b);
	hold_release(b, &b->tap_waiters);
	hold_release(b, &b->store_waiters);
}

void promise_retry_later(struct broker *b)
{
	if (!b->retry.armed)
		loop_arm(b->loop, &b->retry, broker_now_ms(b) + RETRY_MS);
}

static void store_woke(struct loop_watch *w, uint32_t events)
{
	struct broker *b = (struct broker *)((char *)w - offsetof(struct broker, store_watch));

	(void)events;
	b->committed = b->persist.ops->committed(b->persist.ctx);
	exact_retry(b);
	owed_release(b);
	acks_release(b);
	if (ours_waiting(b))
		ours_retry(b); /* before what its client published when it was back */
	hold_release(b, &b->store_waiters);
}

int promise_start(struct broker *b)
{
	b->retry.run = retry;
	b->store_watch.run = store_woke;
	b->store_watch.fd = -1;
	if (!b->persist.ops)
		return 0;
	b->committed = b->persist.ops->committed(b->persist.ctx);
	return loop_watch(b->loop, &b->store_watch, b->persist.ops->wake_fd(b->persist.ctx), EPOLLIN);
}
