/* SPDX-License-Identifier: MIT */
/* gate.h - when records may go: at some hours of the day, and so many bytes a day.
 *
 * Owner     the bridge's loop thread.
 * Time      hours and days are the wall clock's, local or UTC. It is looked at once a minute and when a limit is met.
 *           A clock that is set, forward or back, begins no new day: from then on the day goes on for 22 hours at
 *           least, and ends with the first midnight behind them. So it is with a clock that nobody vouches for
 *           (CLOCK_ADRIFT), until somebody does. Over a start all that is known is the day that was counted last.
 * Promise   of records that are not exempt no more than day_bytes are sent in a day, over any end of the process:
 *           what may be spent next is written down (keep) before it is spent. An end without a goodbye therefore
 *           costs up to GATE_AHEAD of the day's bytes, one in a hundred.
 */
#ifndef BRIDGE_GATE_H
#define BRIDGE_GATE_H

#include "base/clock.h"
#include "bridge/bridge.h"

enum { GATE_SPANS = 8, GATE_AHEAD = 100 };

struct gate_span { /* minutes of the day; `to` is not in it, and may lie on the next day */
	int from, to;
};

/* "22:00-06:00, 12:00-12:30": the number of spans, or -EINVAL. */
int gate_parse(const char *text, struct gate_span out[GATE_SPANS]);

/* What was spent, on the disk. */
struct gate_meter {
	void *ctx;
	int (*keep)(void *ctx, int64_t day, int64_t bytes); /* NULL: it is not kept */
	int64_t day, bytes;                                 /* as it was kept; 0 and 0: nothing was */
};

struct gate {
	const struct bridge_opts *opts;
	const struct clock *clock;
	struct gate_meter meter;
	struct gate_span spans[GATE_SPANS];
	int span_count;
	int64_t day, spent, marked; /* marked: what is written down */
	int64_t look_ms;            /* monotonic: when the clock is looked at again */
	bool shut, full;            /* by the hour; for today */
	bool looked;                /* at the clock; what was seen then: */
	enum clock_state clock_state;
	int64_t offset_ms;     /* of wall from monotonic time */
	int64_t held_until_ms; /* monotonic: until then no day begins */
	bool complained;
};

int gate_init(
	struct gate *g, const struct bridge_opts *opts, const struct clock *clock, const struct gate_meter *meter);
void gate_fini(struct gate *g); /* writes down what was spent; zeroed is fine */

bool gate_limits(const struct bridge_opts *opts);             /* there is a schedule or a bound for a day */
bool gate_exempts(const struct bridge_opts *opts, int class); /* and lets the class through */

/* Open for every record. Otherwise for the exempt classes only, and *due_ms says when to ask again. */
bool gate_open(struct gate *g, int64_t now_ms, int64_t *due_ms);
/* false: too much for today; the gate is not open any more. */
bool gate_fits(struct gate *g, size_t bytes);
void gate_spend(struct gate *g, size_t bytes); /* before it is sent */
void gate_unspend(struct gate *g, size_t bytes);

#endif
