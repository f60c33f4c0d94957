/* SPDX-License-Identifier: MIT */
/* loop.h - epoll and timers for one thread.
 *
 * Owner     the thread that runs it. Other threads reach it through a mailbox watched by it; only loop_stop()
 *           may be called from anywhere, a signal handler too.
 * Memory    watches, timers and tasks are embedded in what they serve; the loop allocates nothing after
 *           loop_new(), so arming a timer cannot fail.
 * A turn    1. wait  2. run ready descriptors  3. run due timers  4. run tasks that were put off during the
 *           turn (loop_later), until none is left: the place to flush each output once.
 *           Descriptors come before timers: after a stall (a suspended machine, a slow start) what peers have sent
 *           meanwhile is heard before a time-out declares them dead.
 * Time      loop_now_ms() is read once per turn; all of a turn happens at the same time. Outside of a turn it is now.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

/* A watched descriptor: level-triggered. run() may remove, change or free any watch, its own too; what a watch no
 * longer waits for does not reach it, even when it was ready already.
 *
 * Edge-triggered, with EPOLLET for loop_watch(): the kernel tells of each change once, and to stop waiting for input, or
 * to begin again, costs no system call. The loop remembers what the kernel told of until the owner has taken it in full
 * (loop_took). Who did not take it in full says that it waits for more (loop_rewatch, loop_again), and is called again. */
struct loop_watch {
	int fd;
	uint32_t events : 14; /* EPOLLIN, EPOLLOUT, ...; 0 still reports EPOLLHUP and EPOLLERR */
	uint32_t told : 14;   /* edge-triggered: ready, and not taken in full yet */
	uint32_t edge : 1;
	void (*run)(struct loop_watch *w, uint32_t events);
};

/* Fires once; run() may arm it again: for now means the next turn. */
struct loop_timer {
	int64_t due_ms; /* monotonic */
	void (*run)(struct loop_timer *t);
	struct loop_timer *child, *next, *prev; /* pairing heap; prev: older sibling or parent */
	bool armed;
};

struct loop_task {
	void (*run)(struct loop_task *t);
	struct loop_task *next;
	bool queued;
};

int loop_new(struct loop **out, const struct clock *clock);
void loop_free(struct loop *l); /* NULL is fine; what is still watched is the caller's */

int loop_run(struct loop *l); /* until loop_stop(); 0, or -errno when waiting fails */
void loop_stop(struct loop *l);
int loop_turn(struct loop *l, int64_t max_wait_ms); /* one turn; for tests and for threads with a loop of their own */

int64_t loop_now_ms(const struct loop *l);
const struct clock *loop_clock(const struct loop *l);

int loop_watch(struct loop *l, struct loop_watch *w, int fd, uint32_t events); /* w->run is set by the caller */
int loop_rewatch(struct loop *l, struct loop_watch *w, uint32_t events);       /* no system call if unchanged */
int loop_again(struct loop *l, struct loop_watch *w);                          /* it waits for what it waited for */
/* All of it was taken: a read or write of the descriptor went short, or gave EAGAIN. Before the next one, so that what
 * comes after is told of anew. After a hang-up input is never taken in full: its end is still to be read. A read stops at
 * urgent data as well, or at descriptors that were sent along: behind those it goes on when more comes. */
void loop_took(struct loop_watch *w, uint32_t events);
/* Before closing fd; -1 is fine. Closing alone is not enough: while another thread starts a process, that has a duplicate,
 * for which the kernel would go on telling of events. */
void loop_unwatch(struct loop *l, struct loop_watch *w);

void loop_arm(struct loop *l, struct loop_timer *t, int64_t due_ms); /* armed already: moves it */
void loop_disarm(struct loop *l, struct loop_timer *t);              /* not armed is fine */

/* Has any watched descriptor become ready meanwhile, for somebody who waits for it? For work that may go on while nobody waits; a system call. */
bool loop_has_ready(struct loop *l);

void loop_later(struct loop *l, struct loop_task *t); /* queued already is fine */
void loop_cancel(struct loop *l, struct loop_task *t);

#endif
