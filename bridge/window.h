/* SPDX-License-Identifier: MIT */
/* window.h - how many records may be in flight, by how long their acknowledgements take. Pure.
 *
 * What fills a slow link beyond what it carries only waits in buffers on the way, and what is fresh waits behind it. So
 * the window grows while acknowledgements take about as long as they did when little was in flight, and shrinks when
 * all of a round take more than twice that and WINDOW_SLACK_MS: the buffers on the way then hold no more than that of
 * ours. A server that commits in batches answers some at once and others late; that is no reason to shrink.
 *
 * Growth doubles in each round trip up to the first acknowledgement that was late, and is by one in each afterwards.
 * A link that got longer itself is noticed by acknowledgements that stay late with the least in flight: that is then
 * what it takes.
 */
#ifndef BRIDGE_WINDOW_H
#define BRIDGE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOW_FIRST = 16, WINDOW_LEAST = 4, WINDOW_ROUND = 8, WINDOW_SLACK_MS = 100 };

struct window {
	size_t limit, credit;
	int64_t base_ms;  /* the least that one took; -1: none yet */
	int64_t round_ms; /* the least of this round */
	size_t round;     /* acknowledgements that are left of it */
	int64_t next_cut_ms;
	bool cut; /* once on this link */
};

static inline void window_begin(struct window *w)
{
	*w = (struct window){.limit = WINDOW_FIRST, .base_ms = -1};
}

static inline void window_shrink(struct window *w, int64_t took_ms, int64_t now_ms)
{
	if (now_ms < w->next_cut_ms) /* these were sent before the last cut could be felt */
		return;
	if (w->limit == WINDOW_LEAST)
		w->base_ms = took_ms;
	w->limit = w->limit * 3 / 4 > WINDOW_LEAST ? w->limit * 3 / 4 : WINDOW_LEAST;
	w->next_cut_ms = now_ms + took_ms;
	w->cut = true;
}

static inline void window_grow(struct window *w, size_t most)
{
	if (w->limit >= most || (w->cut && ++w->credit < w->limit))
		return;
	w->credit = 0;
	w->limit++;
}

/* One that was sent at sent_ms is acknowledged; `most` is what configuration and server allow. */
static inline void window_acked(struct window *w, int64_t sent_ms, int64_t now_ms, size_t most)
{
	int64_t took_ms = now_ms - sent_ms, late_ms;

	if (w->base_ms < 0 || took_ms < w->base_ms)
		w->base_ms = took_ms;
	late_ms = 2 * w->base_ms + WINDOW_SLACK_MS;
	if (w->round == 0)
		w->round_ms = took_ms;
	if (w->round == 0)
		w->round = w->limit > WINDOW_ROUND ? w->limit : WINDOW_ROUND;
	if (took_ms < w->round_ms)
		w->round_ms = took_ms;
	if (took_ms <= late_ms)
		window_grow(w, most);
	if (--w->round == 0 && w->round_ms > late_ms)
		window_shrink(w, w->round_ms, now_ms);
}

#endif
