/* SPDX-License-Identifier: MIT */
/* What a line tells the gateway: samples, states, counts. */
#include "base/log.h"
#include "drivers/line_state.h"

#include <poll.h>

enum { BUSY_WAIT_MS = 5 };

int64_t line_now_us(const struct line *l)
{
	return clock_mono_us(l->clock);
}

bool line_stopping(const struct line *l)
{
	return atomic_load_explicit(&l->stop, memory_order_relaxed);
}

/* The sink is asked again with the very same sample until it takes it: the store waits for its disk, and polling on
 * would only make samples to be lost. Lines that share a thread wait with it: they share its lane, too. */
static void deliver(struct line *l, const struct sample *s)
{
	while (l->sink.sample(l->sink.ctx, s) == LINE_BUSY) {
		atomic_fetch_add_explicit(&l->busy_waits, 1, memory_order_relaxed);
		poll(NULL, 0, BUSY_WAIT_MS);
		if (line_stopping(l)) {
			log_warn("line=%s device=%s point=%s sample=lost: stopped while the store was busy",
				l->opts->head.name, s->device->head.name, s->point->head.name);
			return;
		}
	}
	atomic_fetch_add_explicit(&l->samples, 1, memory_order_relaxed);
}

static struct report_state *state_of(struct line *l, size_t device, const struct point_opts *p)
{
	const struct point_opts *first = l->opts->devices[device]->points.items;

	return &l->devices[device].points[p - first];
}

static void tell_good(struct line *l, struct report_state *state, struct sample *s)
{
	if (l->late)
		s->quality = QUALITY_LATE;
	if (report_good(state, s->point, &s->value, l->late, line_now_us(l) / 1000))
		deliver(l, s);
}

/* What the window holds, under the time of its last reading. */
static void close_window(struct line *l, size_t device, const struct point_opts *p, struct report_state *state)
{
	struct fold w = *state->window;
	struct sample s = {.line = l->opts,
		.device = l->opts->devices[device],
		.point = p,
		.quality = QUALITY_GOOD,
		.wall_ms = w.last_ms,
		.last_good_ms = w.last_ms,
		.window = &w};

	if (w.count == 0)
		return;
	state->window->count = 0;
	s.value = fold_value(&w, p);
	tell_good(l, state, &s);
}

void line_close_windows(struct line *l)
{
	for (size_t i = 0; i < l->opts->device_count; i++) {
		const struct key_list *points = &l->opts->devices[i]->points;

		for (size_t k = 0; k < points->count; k++)
			if (l->devices[i].points[k].window)
				close_window(
					l, i, (const struct point_opts *)points->items + k, &l->devices[i].points[k]);
	}
}

static void into_window(struct line *l, size_t device, const struct point_opts *p, struct report_state *state,
	const struct value *v, int64_t wall_ms)
{
	if (fold_ends(state->window, p, wall_ms))
		close_window(l, device, p, state);
	fold_add(state->window, p, v, wall_ms);
}

void line_good(struct line *l, size_t device, const struct point_opts *p, const struct value *v, int64_t at_us)
{
	struct report_state *state = state_of(l, device, p);
	int64_t now_us = line_now_us(l);
	int64_t wall_ms = clock_wall_ms(l->clock) - (now_us - at_us) / 1000;
	struct sample s = {.line = l->opts,
		.device = l->opts->devices[device],
		.point = p,
		.value = *v,
		.quality = QUALITY_GOOD,
		.wall_ms = wall_ms,
		.last_good_ms = wall_ms};

	state->last_good_ms = wall_ms;
	if (state->window)
		into_window(l, device, p, state, v, wall_ms);
	else
		tell_good(l, state, &s);
}

void line_bad(struct line *l, size_t device, const struct point_opts *p, const char *reason)
{
	struct report_state *state = state_of(l, device, p);
	struct sample s = {.line = l->opts,
		.device = l->opts->devices[device],
		.point = p,
		.quality = QUALITY_BAD,
		.reason = reason,
		.wall_ms = clock_wall_ms(l->clock),
		.last_good_ms = state->last_good_ms};

	if (state->window)
		close_window(l, device, p, state);
	if (report_bad(state))
		deliver(l, &s);
}

void line_all_bad(struct line *l, size_t device, const char *reason)
{
	const struct key_list *points = &l->opts->devices[device]->points;

	for (size_t i = 0; i < points->count; i++)
		line_bad(l, device, &((const struct point_opts *)points->items)[i], reason);
}

/* --- health --- */

/* A device that misses a request now and then is counted, not told each time. */
static void log_state(const struct line *l, size_t device, enum device_state before, const char *reason)
{
	const struct device *d = &l->devices[device].health;
	const char *name = l->opts->devices[device]->head.name;

	switch (d->state) {
	case DEVICE_OFFLINE:
		log_warn("device=%s line=%s state=offline reason=\"%s\" after=%u failures (retries); next try in %lld "
			 "ms",
			name, l->opts->head.name, reason, d->failures,
			(long long)(d->probe_due_us - line_now_us(l)) / 1000);
		break;
	case DEVICE_UP:
		if (before != DEVICE_RETRYING)
			log_info("device=%s line=%s state=up", name, l->opts->head.name);
		break;
	case DEVICE_RETRYING:
		log_debug("device=%s line=%s state=retrying reason=\"%s\"", name, l->opts->head.name, reason);
		break;
	default: break;
	}
}

/* A probe that fails goes from offline to offline: nothing to tell, though two steps were made. */
void line_step(struct line *l, size_t device, enum device_event event, const char *reason)
{
	struct line_device *d = &l->devices[device];
	int before = atomic_load_explicit(&d->state, memory_order_relaxed);
	int after;

	/* What is answered needs no chance, and is most of all: a system call less for each reply. */
	device_step(&d->health, event, line_now_us(l), event == DEVICE_ANSWERED ? 0 : backoff_random());
	after = d->health.state;
	if (after == DEVICE_PROBING || after == before)
		return;
	atomic_store_explicit(&d->state, after, memory_order_relaxed);
	log_state(l, device, (enum device_state)before, reason);
	l->sink.device(l->sink.ctx, l->opts, l->opts->devices[device], d->health.state, reason);
	if (after == DEVICE_OFFLINE)
		line_all_bad(l, device, reason);
	if (after == DEVICE_UP && before == DEVICE_OFFLINE)
		schedule_now(&l->schedule, device, line_now_us(l));
}

/* Any thread reads them. */
static void tell_spread(struct spread *s, int64_t us, _Atomic int64_t *median_us, _Atomic int64_t *p99_us)
{
	spread_add(s, us);
	atomic_store_explicit(median_us, spread_at(s, 500), memory_order_relaxed);
	atomic_store_explicit(p99_us, spread_at(s, 990), memory_order_relaxed);
}

void line_answered(struct line *l, size_t device, int64_t turnaround_us)
{
	struct line_device *d = &l->devices[device];

	line_count_device(l, device, COUNT_REPLIES, 1);
	l->port_gone_us = 0;
	atomic_store_explicit(&d->answered_ms, clock_wall_ms(l->clock), memory_order_relaxed);
	if (turnaround_us >= 0) {
		pace_learn(&d->health.pace, turnaround_us);
		pace_learn(&l->pace, turnaround_us);
		tell_spread(&d->spread, turnaround_us, &d->median_us, &d->p99_us);
		tell_spread(&l->spread, turnaround_us, &l->median_us, &l->p99_us);
		atomic_store_explicit(&d->turnaround_us, d->health.pace.turnaround_us, memory_order_relaxed);
	}
	line_step(l, device, DEVICE_ANSWERED, NULL);
}

void line_heard_late(struct line *l, size_t device)
{
	line_count_device(l, device, COUNT_LATE, 1);
	line_step(l, device, DEVICE_LATE, NULL);
}

/* --- counts --- */

void line_count(struct line *l, enum line_counter what, uint64_t n)
{
	atomic_fetch_add_explicit(&l->count[what], n, memory_order_relaxed);
}

void line_count_device(struct line *l, size_t device, enum line_counter what, uint64_t n)
{
	line_count(l, what, n);
	atomic_fetch_add_explicit(&l->devices[device].count[what], n, memory_order_relaxed);
}

void line_stats(const struct line *l, struct line_stats *out)
{
	out->up = atomic_load_explicit(&l->up, memory_order_relaxed);
	for (size_t i = 0; i < LINE_COUNTERS; i++)
		out->count[i] = atomic_load_explicit(&l->count[i], memory_order_relaxed);
	out->samples = atomic_load_explicit(&l->samples, memory_order_relaxed);
	out->busy_waits = atomic_load_explicit(&l->busy_waits, memory_order_relaxed);
	out->median_us = atomic_load_explicit(&l->median_us, memory_order_relaxed);
	out->p99_us = atomic_load_explicit(&l->p99_us, memory_order_relaxed);
	out->busy_permille = atomic_load_explicit(&l->busy_permille, memory_order_relaxed);
	out->rate_permille = atomic_load_explicit(&l->rate_permille, memory_order_relaxed);
}

void line_device_stats(const struct line *l, size_t device, struct line_device_stats *out)
{
	const struct line_device *d = &l->devices[device];

	out->state = (enum device_state)atomic_load_explicit(&d->state, memory_order_relaxed);
	for (size_t i = 0; i < LINE_COUNTERS; i++)
		out->count[i] = atomic_load_explicit(&d->count[i], memory_order_relaxed);
	out->grade_permille = atomic_load_explicit(&d->grade_permille, memory_order_relaxed);
	out->turnaround_us = atomic_load_explicit(&d->turnaround_us, memory_order_relaxed);
	out->median_us = atomic_load_explicit(&d->median_us, memory_order_relaxed);
	out->p99_us = atomic_load_explicit(&d->p99_us, memory_order_relaxed);
	out->every_us = atomic_load_explicit(&d->every_us, memory_order_relaxed);
	out->comes_us = atomic_load_explicit(&d->comes_us, memory_order_relaxed);
	out->reason = atomic_load_explicit(&d->reason, memory_order_relaxed);
	out->answered_ms = atomic_load_explicit(&d->answered_ms, memory_order_relaxed);
}
