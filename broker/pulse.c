/* SPDX-License-Identifier: MIT */
#include "broker/pulse.h"

#include <stddef.h>

static void beat(struct loop_timer *t)
{
	struct pulse *p = (struct pulse *)((char *)t - offsetof(struct pulse, timer));
	int64_t now_ms = loop_now_ms(p->loop);

	atomic_store_explicit(&p->beat_ms, now_ms, memory_order_relaxed);
	loop_arm(p->loop, t, now_ms + PULSE_MS);
}

void pulse_start(struct pulse *p, struct loop *loop)
{
	p->loop = loop;
	p->timer.run = beat;
	beat(&p->timer);
}

int64_t pulse_ms(const struct pulse *p)
{
	return atomic_load_explicit(&p->beat_ms, memory_order_relaxed);
}
