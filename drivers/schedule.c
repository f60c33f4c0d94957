/* SPDX-License-Identifier: MIT */
#include "drivers/schedule.h"

#include <errno.h>
#include <stdlib.h>

void schedule_fini(struct schedule *s)
{
	free(s->jobs);
	*s = (struct schedule){0};
}

int schedule_reserve(struct schedule *s, size_t count)
{
	struct job *jobs;

	if (count <= s->cap)
		return 0;
	jobs = reallocarray(s->jobs, count, sizeof(*jobs));
	if (!jobs)
		return -ENOMEM;
	s->jobs = jobs;
	s->cap = count;
	return 0;
}

int schedule_add(struct schedule *s, size_t device, size_t what, int64_t period_us)
{
	int r = s->count == s->cap ? schedule_reserve(s, s->cap ? 2 * s->cap : 16) : 0;

	if (r < 0)
		return r;
	s->jobs[s->count++] = (struct job){.device = device, .what = what, .period_us = period_us};
	return 0;
}

void schedule_drop(struct schedule *s, size_t device)
{
	size_t at = 0;

	for (size_t i = 0; i < s->count; i++)
		if (s->jobs[i].device != device)
			s->jobs[at++] = s->jobs[i];
	s->count = at;
}

int64_t schedule_others_us(const struct schedule *s, size_t device)
{
	int64_t first_us = INT64_MAX;

	for (size_t i = 0; i < s->count; i++)
		if (!s->jobs[i].held && s->jobs[i].device != device && s->jobs[i].due_us < first_us)
			first_us = s->jobs[i].due_us;
	return first_us;
}

/* Now, or when the most urgent job is due, of those that could run all the time and are not the device's own: in overload
 * they are due since long, and now would be behind all of them. What could not run says nothing: it may be hours old. */
static int64_t most_urgent_us(const struct schedule *s, size_t device, int64_t now_us)
{
	int64_t first_us = schedule_others_us(s, device);

	return first_us < now_us ? first_us : now_us;
}

void schedule_now(struct schedule *s, size_t device, int64_t now_us)
{
	int64_t first_us = device == SIZE_MAX ? now_us : most_urgent_us(s, device, now_us);

	if (device == SIZE_MAX)
		s->spread = false;
	for (size_t i = 0; i < s->count; i++)
		if (device == SIZE_MAX || s->jobs[i].device == device) {
			s->jobs[i].due_us = first_us;
			s->jobs[i].ran_us = 0;
			s->jobs[i].late = 0;
			s->jobs[i].held = false;
		}
}

void schedule_last(struct schedule *s, size_t device, int64_t now_us)
{
	int64_t last_us = INT64_MIN;

	for (size_t i = 0; i < s->count; i++)
		if (s->jobs[i].device != device && s->jobs[i].due_us <= now_us && s->jobs[i].due_us > last_us)
			last_us = s->jobs[i].due_us;
	for (size_t i = 0; i < s->count; i++)
		if (s->jobs[i].device == device && s->jobs[i].due_us < last_us)
			s->jobs[i].due_us = last_us;
}

static struct job *earliest(struct schedule *s, schedule_ready *ready, void *ctx)
{
	struct job *best = NULL;

	for (size_t i = 0; i < s->count; i++) {
		struct job *j = &s->jobs[i];

		if ((!best || j->due_us < best->due_us) && ready(ctx, j->device))
			best = j;
	}
	return best;
}

/* 0, 1/2, 1/4, 3/4, 1/8, ...: each far from those before it. */
static double spot(size_t i)
{
	double at = 0, step = 0.5;

	for (; i > 0; i >>= 1, step /= 2)
		at += i & 1 ? step : 0;
	return at;
}

/* Before that there is nothing to spread: what is read once an hour would have its first value within the hour. */
static bool all_have_run(const struct schedule *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->jobs[i].ran_us == 0 && !s->jobs[i].held)
			return false;
	return true;
}

/* What is due already is late anyway; what is not comes sooner this once, never later than it should. */
static void spread(struct schedule *s, int64_t now_us)
{
	for (size_t i = 0; i < s->count; i++) {
		struct job *j = &s->jobs[i];
		double at = spot(i);

		j->due_us +=
			(int64_t)(j->due_us > now_us ? -at * (double)(j->due_us - now_us) : at * (double)j->period_us);
	}
	s->spread = true;
}

/* Turns that were missed because the device could not be asked are not made up: the others would wait for them, or be
 * moved along by all that time. */
static void hold(struct schedule *s, schedule_ready *ready, void *ctx, int64_t now_us)
{
	int64_t first_us;

	for (size_t i = 0; i < s->count; i++)
		s->jobs[i].held = s->jobs[i].held || !ready(ctx, s->jobs[i].device);
	first_us = most_urgent_us(s, SIZE_MAX, now_us);
	for (size_t i = 0; i < s->count; i++) {
		struct job *j = &s->jobs[i];

		if (!j->held || !ready(ctx, j->device))
			continue;
		j->held = false;
		if (j->due_us < first_us)
			j->due_us = first_us;
	}
}

struct job *schedule_next(struct schedule *s, schedule_ready *ready, void *ctx, int64_t now_us)
{
	struct job *best;
	int64_t excess;

	hold(s, ready, ctx, now_us);
	best = earliest(s, ready, ctx);
	if (!best)
		return NULL;
	excess = now_us - SCHEDULE_SLACK_US - best->due_us;
	if (excess > 0 && !s->spread && all_have_run(s))
		spread(s, now_us);
	if (excess > 0) {
		for (size_t i = 0; i < s->count; i++)
			s->jobs[i].due_us += excess;
		s->stretched_us += excess;
	}
	return best;
}

size_t schedule_late(const struct schedule *s, schedule_ready *ready, void *ctx, int64_t now_us)
{
	size_t late = 0;

	for (size_t i = 0; i < s->count; i++)
		late += s->jobs[i].due_us <= now_us && ready(ctx, s->jobs[i].device);
	return late;
}

bool schedule_begin(struct job *j, int64_t now_us)
{
	bool late = j->ran_us > 0 && now_us - j->ran_us > j->period_us + j->period_us / 2;

	j->late = late ? j->late + 1 : 0;
	j->ran_us = now_us;
	return j->late > 1;
}

void schedule_done(struct job *j, int64_t now_us, bool alone)
{
	j->due_us += j->period_us;
	if (alone && j->due_us < now_us)
		j->due_us += (now_us - j->due_us) / j->period_us * j->period_us;
}
