/* SPDX-License-Identifier: MIT */
#include "store/trust.h"

#include "base/log.h"

/* 1 January 2025, before there was a weir. */
#define EARLIEST_MS INT64_C(1735689600000)

enum { SLACK_MS = 60 * 1000 }; /* that a clock may lose while the machine is off */

void trust_init(struct trust *t, const struct clock *clock, enum trust_rule rule)
{
	*t = (struct trust){.clock = clock,
		.rule = rule,
		.boot = clock_boot(clock),
		.least_ms = EARLIEST_MS,
		.since_ms = INT64_MAX};
}

void trust_recall(struct trust *t, const struct queue_clock *known)
{
	if (known->newest_ms > t->least_ms + SLACK_MS)
		t->least_ms = known->newest_ms - SLACK_MS;
	if (!t->looked && known->trusted != 0 && known->trusted == t->boot)
		t->since_ms = INT64_MIN;
}

static bool is_right(const struct trust *t, int64_t wall_ms)
{
	enum clock_state state = t->rule == TRUST_ALWAYS ? CLOCK_SYNCED : clock_state(t->clock);

	return state == CLOCK_SYNCED || (t->rule == TRUST_AUTO && state == CLOCK_KEPT && wall_ms >= t->least_ms);
}

struct queue_time trust_now(struct trust *t)
{
	struct queue_time now = {
		.mono_ms = clock_mono_ms(t->clock), .wall_ms = clock_wall_ms(t->clock), .boot = t->boot};

	if (t->since_ms == INT64_MAX && is_right(t, now.wall_ms)) {
		/* A step of the clock and our look at it are two moments: what was taken before the look is in doubt. */
		t->since_ms = t->looked ? now.mono_ms : INT64_MIN;
		if (t->looked)
			log_info("store clock=right wall_ms=%lld", (long long)now.wall_ms);
	} else if (t->since_ms == INT64_MAX && !t->looked) {
		log_warn("store clock=doubtful wall_ms=%lld; records say so until it is right (store.clock)",
			(long long)now.wall_ms);
	}
	t->looked = true;
	now.trusted_ms = t->since_ms;
	return now;
}
