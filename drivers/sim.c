/* SPDX-License-Identifier: MIT */
/* Made-up values, for trying things out; and the model for a new driver. What every driver does is here: make() turns
 * points into jobs, run() turns a job into values. There is no port to open and nobody who could be silent. */
#include "drivers/decode.h"
#include "drivers/encode.h"
#include "drivers/ops.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* One per point. */
struct source {
	const struct point_opts *point;
	size_t device;
	double now; /* of a walk or a counter */
	bool held;  /* somebody has written it: it stays so */
	struct value written;
	uint64_t random;
};

struct sim {
	struct line *line;
	const struct clock *clock;
	struct source *sources;
	size_t count;
};

static double draw(struct source *s) /* 0 .. 1 */
{
	s->random = s->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(s->random >> 40) / 16777216.0;
}

static double next_walk(struct source *s)
{
	const struct point_opts *p = s->point;
	double step = (p->high - p->low) / 50;

	s->now += (draw(s) - 0.5) * step;
	if (s->now < p->low)
		s->now = 2 * p->low - s->now;
	if (s->now > p->high)
		s->now = 2 * p->high - s->now;
	return s->now;
}

static double next_count(struct source *s)
{
	double v = s->now;

	s->now = v + 1 > s->point->high ? s->point->low : v + 1;
	return v;
}

/* Where in its period the signal is: 0 .. 1. */
static double phase(const struct point_opts *p, int64_t now_us)
{
	int64_t period_us = 1000 * p->period_ms;

	return (double)(now_us % period_us) / (double)period_us;
}

static double next(struct source *s, int64_t now_us)
{
	const struct point_opts *p = s->point;

	switch (p->signal) {
	case SIGNAL_WALK: return next_walk(s);
	case SIGNAL_COUNTER: return next_count(s);
	case SIGNAL_SQUARE: return phase(p, now_us) < 0.5 ? p->low : p->high;
	case SIGNAL_CONSTANT: return p->high;
	default: return p->low + (p->high - p->low) * (0.5 - 0.5 * cos(2 * M_PI * phase(p, now_us)));
	}
}

static struct value convert(const struct point_opts *p, double raw)
{
	struct value v = decode_real(p, raw);

	if (p->type == TYPE_BOOL)
		return (struct value){.kind = VALUE_BOOL, .b = raw > (p->low + p->high) / 2};
	if (p->type >= TYPE_INT16 && p->type <= TYPE_UINT64)
		return (struct value){.kind = VALUE_INT, .i = (int64_t)llround(v.r)};
	return v;
}

static void make_free(void *self)
{
	struct sim *sim = self;

	if (!sim)
		return;
	free(sim->sources);
	free(sim);
}

static int add_device(struct sim *sim, const struct line_opts *opts, size_t device, struct schedule *s)
{
	const struct point_opts *points = opts->devices[device]->points.items;
	size_t n = opts->devices[device]->points.count;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		sim->sources[sim->count] = (struct source){
			.point = &points[i], .device = device, .now = points[i].low, .random = sim->count + 1};
		if (points[i].signal == SIGNAL_WALK)
			sim->sources[sim->count].now = (points[i].low + points[i].high) / 2;
		r = schedule_add(s, device, sim->count++, 1000 * points[i].every_ms);
	}
	return r;
}

static int make(
	void **self, struct line *l, const struct line_opts *opts, const struct clock *clock, struct schedule *s)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	size_t points = 1;
	int r;

	if (!sim)
		return -ENOMEM;
	sim->line = l;
	sim->clock = clock;
	for (size_t i = 0; i < opts->device_count; i++)
		points += opts->devices[i]->points.count;
	sim->sources = calloc(points, sizeof(*sim->sources));
	r = sim->sources ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < opts->device_count; i++)
		r = add_device(sim, opts, i, s);
	if (r < 0) {
		make_free(sim);
		return r;
	}
	*self = sim;
	return 0;
}

static enum outcome run(void *self, const struct job *j, const char **reason)
{
	struct sim *sim = self;
	struct source *s = &sim->sources[j->what];
	int64_t now_us = clock_mono_us(sim->clock);
	struct value v = s->held ? s->written : convert(s->point, next(s, now_us));

	(void)reason;
	line_answered(sim->line, s->device, -1);
	line_good(sim->line, s->device, s->point, &v, now_us);
	return OUTCOME_OK;
}

static enum outcome write_point(void *self, struct errand *e, const char **reason)
{
	struct sim *sim = self;

	for (size_t i = 0; i < sim->count; i++) {
		struct source *s = &sim->sources[i];

		if (s->point != e->point)
			continue;
		if (e->value.kind == VALUE_TEXT) {
			*reason = encode_reason(ENCODE_NOT_A_VALUE);
			return OUTCOME_REFUSED;
		}
		s->held = true;
		s->written = e->value;
		e->back = e->value;
		e->has_back = true;
		return OUTCOME_OK;
	}
	*reason = "no such point";
	return OUTCOME_REFUSED;
}

const struct driver_ops sim_ops = {
	.name = "sim",
	.make = make,
	.free = make_free,
	.run = run,
	.write = write_point,
};
