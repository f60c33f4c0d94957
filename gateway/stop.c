/* SPDX-License-Identifier: MIT */
/* A stop in three steps, driven by a timer on main's loop: the sources end at once, what they left may still go
 * upstream for half of stop_timeout, then the upstreams are told goodbye. */
#include "base/log.h"
#include "gateway/health.h"
#include "gateway/internal.h"
#include "gateway/notify.h"

#include <stddef.h>

enum { STEP_MS = 20 };

/* All that there is to send is in the log: what the sources left, and the goodbye. The newest of it is asked for last, since
 * the writer tells of a record before it no longer waits. */
static bool all_written(struct gateway *g, uint64_t *newest)
{
	struct store_stats s;

	store_stats(g->store, &s);
	if (s.waiting > 0 || outbox_fate(&g->outbox, &g->goodbye) == OUTBOX_WAITS)
		return false;
	store_stats(g->store, &s);
	*newest = s.last_seq;
	return true;
}

/* An upstream that is not there now is not waited for. */
static bool all_sent(struct gateway *g)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < g->gen->opts->upstreams.count; i++) {
		const struct bridge_stats *st = upstreams_stats(g->upstreams, i);

		if (st && st->state == BRIDGE_UP && (!all_written(g, &newest) || store_cursor(g->store, i) < newest))
			return false;
	}
	return true;
}

void gateway_stop(struct gateway *g, const char *reason)
{
	int64_t now_ms = loop_now_ms(g->loop), timeout_ms = g->gen->opts->stop_timeout_ms;

	if (g->phase != RUNNING)
		return;
	log_info("state=stopping reason=%s; what is queued stays and is sent after the next start", reason);
	notify_send("STOPPING=1");
	outbox_post_take(&g->outbox, health_of_gateway(gateway_site(g), false, reason, g->clock));
	g->goodbye = outbox_mark(&g->outbox);
	g->phase = DRAINING;
	g->drain_until_ms = now_ms + timeout_ms / 2;
	g->stop_until_ms = now_ms + timeout_ms;
	loop_disarm(g->loop, &g->health_timer);
	field_stop(g->field);
	setter_stop(g->setter);
	broker_stop(g->broker);
	upstreams_hold_inbound(g->upstreams);
	loop_arm(g->loop, &g->stop_timer, now_ms);
}

static void step(struct gateway *g, int64_t now_ms)
{
	if (g->phase == DRAINING && (all_sent(g) || now_ms >= g->drain_until_ms)) {
		g->phase = LEAVING;
		upstreams_stop(g->upstreams);
	}
	if (g->phase == LEAVING && (!upstreams_running(g->upstreams) || now_ms >= g->stop_until_ms)) {
		g->phase = STOPPED;
		loop_stop(g->loop);
	}
}

void gateway_stop_step(struct loop_timer *t)
{
	struct gateway *g = (struct gateway *)(void *)((char *)t - offsetof(struct gateway, stop_timer));
	int64_t now_ms = loop_now_ms(g->loop);

	step(g, now_ms);
	if (g->phase != STOPPED)
		loop_arm(g->loop, t, now_ms + STEP_MS);
}
