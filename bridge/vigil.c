/* SPDX-License-Identifier: MIT */
/* How long a link may be silent, and when it is to be looked after next. */
#include "bridge/drain_state.h"

static int64_t latest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Silence is measured from the last acknowledgement, so that a slow link that moves is not cut; a single record that
 * is never answered is given three times as long. */
int64_t vigil_silent_ms(const struct drain *d)
{
	int64_t oldest = pump_oldest_ms(d), patience_ms = d->opts->ack_timeout_ms << unanswered_doubled(d), quiet, lone;

	if (d->status_sent_ms >= 0 && (oldest < 0 || d->status_sent_ms < oldest))
		oldest = d->status_sent_ms;
	if (d->resuming && (oldest < 0 || d->up_ms < oldest))
		oldest = d->up_ms;
	if (oldest < 0)
		return -1;
	quiet = latest(latest(oldest, d->heard_ms), d->unanswered.asked_ms) + patience_ms;
	lone = oldest + VIGIL_LONE * patience_ms;
	return quiet < lone ? quiet : lone;
}

/* A token is good for a while, and servers cut whoever stays longer: better at a time of ours. */
int64_t vigil_token_ms(const struct drain *d)
{
	return d->opts->token.kind == BRIDGE_TOKEN_NONE ? -1 : d->up_ms + d->opts->token.lifetime_ms / 5 * 4;
}

bool vigil_has_call(const struct drain *d)
{
	return d->phase == DIALING || d->phase == ONLINE;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

int64_t vigil_due_ms(const struct drain *d)
{
	int64_t due = d->phase_due_ms;

	if (d->env.uplink->ops->ails && vigil_has_call(d))
		due = sooner(due, d->look_ms);
	if (d->phase != ONLINE)
		return due;
	if (d->more)
		return d->now_ms;
	due = sooner(due, vigil_silent_ms(d));
	due = sooner(due, d->send_due_ms);
	due = sooner(due, vigil_token_ms(d));
	due = sooner(due, choose_home_ms(d));
	due = sooner(due, d->greet_ms);
	return due;
}
