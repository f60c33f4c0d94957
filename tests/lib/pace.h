/* SPDX-License-Identifier: MIT */
/* pace.h - the loop of the test programs: descriptors, and timers that are due to the microsecond.
 *
 * Memory    watches and timers are embedded in what they serve.
 * Time      pace_now_us() reads the clock: pacing is about the moment, not about the turn.
 * A turn    descriptors first, then timers: one armed for now runs behind everything that was ready.
 */
#ifndef LIB_PACE_H
#define LIB_PACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct pace;

struct pace_watch {
	int fd;
	uint32_t events;
	void (*run)(struct pace_watch *w, uint32_t events); /* may remove any watch, its own too */
};

struct pace_timer {
	int64_t due_us;
	void (*run)(struct pace_timer *t); /* fires once; may arm itself again */
	struct pace_timer *next, *prev;
	bool armed;
};

int pace_new(struct pace **out);
void pace_free(struct pace *p); /* NULL is fine */
int pace_run(struct pace *p);   /* until pace_stop(); 0 or -errno */
void pace_stop(struct pace *p);
/* Timers to the microsecond: ahead of other programs where the machine allows it, and awake for the last stretch
 * before each. For what stands in for hardware under measurement; it takes a few per cent of a core. */
void pace_exact(struct pace *p);

int64_t pace_now_us(void);

int pace_watch(struct pace *p, struct pace_watch *w, int fd, uint32_t events);
int pace_rewatch(struct pace *p, struct pace_watch *w, uint32_t events); /* no system call if unchanged */
void pace_unwatch(struct pace *p, struct pace_watch *w); /* fd -1 is fine; sets it to -1, closing is the caller's */

void pace_arm(struct pace *p, struct pace_timer *t, int64_t due_us); /* armed already: moves it */
void pace_disarm(struct pace *p, struct pace_timer *t);

#endif
