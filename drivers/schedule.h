/* SPDX-License-Identifier: MIT */
/* schedule.h - what to do next on a line: earliest deadline first.
 *
 * Owner     line thread.
 * Memory    an array of jobs, made once.
 * Time      never read here.
 *
 * Overload: when the line cannot do all that is asked, the most overdue job is never later than SCHEDULE_SLACK_US,
 * since all due times move together by what is missing. Every job then runs at the same fraction of its wanted rate,
 * and no backlog exists to be worked off later. stretched_us is the sum of these moves. When it begins, and each job
 * has run once, they are spread over their periods: those that fall due together would wait for each other, and an age
 * with them.
 */
#ifndef DRIVERS_SCHEDULE_H
#define DRIVERS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCHEDULE_SLACK_US = 500000 };

struct job {
	size_t device; /* place in the line's list */
	size_t what;   /* the driver's own: a block, a group of points */
	int64_t period_us;
	int64_t due_us;
	int64_t ran_us; /* began its last run; 0: none since schedule_now() */
	unsigned late;  /* runs in a row that came so late that they count: see schedule_begin() */
	bool held;      /* its device was not ready when last looked at: when it was due says nothing */
};

struct schedule {
	struct job *jobs;
	size_t count, cap;
	int64_t stretched_us;
	bool spread; /* since all were due at once */
};

void schedule_fini(struct schedule *s);
int schedule_reserve(struct schedule *s, size_t count); /* jobs that can be added without any of them moving */
int schedule_add(struct schedule *s, size_t device, size_t what, int64_t period_us); /* 0 or -ENOMEM */

/* Takes the jobs of a device away; those of others move up, so that no pointer to a job stays good. */
void schedule_drop(struct schedule *s, size_t device);

/* All jobs of the device (SIZE_MAX: of all devices) are due now, and before those of others. Those of one device in
 * the order they were added. */
void schedule_now(struct schedule *s, size_t device, int64_t now_us);

/* The device's jobs go behind all that is due now. */
void schedule_last(struct schedule *s, size_t device, int64_t now_us);

/* The most urgent job whose device is ready, due or not; NULL when there is none. One whose device was not ready until
 * now is as urgent as the most urgent of the others, at most: what it missed is not made up. */
typedef bool schedule_ready(void *ctx, size_t device);
struct job *schedule_next(struct schedule *s, schedule_ready *ready, void *ctx, int64_t now_us);

/* When the next job of another device is due, of those that were ready when last looked at; INT64_MAX: there is none. */
int64_t schedule_others_us(const struct schedule *s, size_t device);

/* How many jobs of ready devices are due, the most urgent included. */
size_t schedule_late(const struct schedule *s, schedule_ready *ready, void *ctx, int64_t now_us);

/* The job begins to run. True: it is late, since it comes at more than one and a half times its period, and did so
 * before. Once says nothing: a neighbour may have been silent. */
bool schedule_begin(struct job *j, int64_t now_us);
/* The job has run; alone: nothing else is late, so that missed turns need not be made up. */
void schedule_done(struct job *j, int64_t now_us, bool alone);

#endif
