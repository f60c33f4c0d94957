/* SPDX-License-Identifier: MIT */
/* Timers live in a pairing heap whose links are part of the timer. A watch that goes away in the middle of a turn
 * is struck out of the events already fetched, so its owner may free it at once. */
#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH = 256, FULL_TURNS = 32 };

struct loop {
	const struct clock *clock;
	int epoll_fd, stop_fd;
	int64_t now_ms;
	struct loop_timer *soonest;
	struct loop_timer *next_turn; /* armed for now or earlier by a timer that just fired: another heap */
	bool firing;
	struct loop_task *first, *last;
	struct epoll_event ready[BATCH];
	int ready_at, ready_count;
	struct epoll_event early[BATCH]; /* edges that were fetched before their turn */
	int early_count;
	int full_turns; /* in a row, in which more descriptors were ready than a turn takes */
	bool turning;
	struct loop_watch stop_watch;
	atomic_bool stopping;
};

/* --- timers ------------------------------------------------------------------------------------------------- */

static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->due_ms < a->due_ms) {
		struct loop_timer *t = a;

		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* Melds a list of siblings in two passes, without recursion: pairs from the left, then all from the right. */
static struct loop_timer *merge_children(struct loop_timer *list)
{
	struct loop_timer *pairs = NULL, *root = NULL;

	while (list) {
		struct loop_timer *a = list, *b = a->next;

		list = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct loop_timer *a = pairs;

		pairs = a->next;
		a->next = a->prev = NULL;
		root = meld(root, a);
	}
	return root;
}

/* Puts what stood below t, which is due no sooner, into t's own place among its siblings. */
static void replace(struct loop_timer *t, struct loop_timer *sub)
{
	struct loop_timer **from = t->prev->child == t ? &t->prev->child : &t->prev->next;

	*from = sub ? sub : t->next;
	if (sub) {
		sub->prev = t->prev;
		sub->next = t->next;
	}
	if (t->next)
		t->next->prev = sub ? sub : t->prev;
}

void loop_disarm(struct loop *l, struct loop_timer *t)
{
	struct loop_timer *sub;

	if (!t->armed)
		return;
	sub = merge_children(t->child);
	if (t == l->soonest)
		l->soonest = sub;
	else if (t == l->next_turn)
		l->next_turn = sub;
	else
		replace(t, sub);
	t->child = t->next = t->prev = NULL;
	t->armed = false;
}

void loop_arm(struct loop *l, struct loop_timer *t, int64_t due_ms)
{
	struct loop_timer **heap = l->firing && due_ms <= l->now_ms ? &l->next_turn : &l->soonest;

	loop_disarm(l, t);
	t->due_ms = due_ms;
	t->armed = true;
	*heap = meld(*heap, t);
}

/* Only timers that were due when the turn began: one that arms itself for now waits for the next turn, so the
 * descriptors get theirs in between. */
static void run_timers(struct loop *l)
{
	l->firing = true;
	while (l->soonest && l->soonest->due_ms <= l->now_ms) {
		struct loop_timer *t = l->soonest;

		loop_disarm(l, t);
		t->run(t);
	}
	l->firing = false;
	l->soonest = meld(l->soonest, l->next_turn);
	l->next_turn = NULL;
}

/* --- tasks -------------------------------------------------------------------------------------------------- */

void loop_later(struct loop *l, struct loop_task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	t->next = NULL;
	if (l->last)
		l->last->next = t;
	else
		l->first = t;
	l->last = t;
}

void loop_cancel(struct loop *l, struct loop_task *t)
{
	struct loop_task **at = &l->first, *before = NULL;

	if (!t->queued)
		return;
	while (*at != t) {
		before = *at;
		at = &before->next;
	}
	*at = t->next;
	if (l->last == t)
		l->last = before;
	t->queued = false;
}

static void run_tasks(struct loop *l)
{
	while (l->first) {
		struct loop_task *t = l->first;

		l->first = t->next;
		if (!l->first)
			l->last = NULL;
		t->queued = false;
		t->run(t);
	}
}

/* --- descriptors -------------------------------------------------------------------------------------------- */

enum { HANG_UP = EPOLLRDHUP | EPOLLHUP | EPOLLERR, EVENTS = (1 << 14) - 1 };

/* Edge-triggered ones wait for input always; for room to write only on demand: a unix socket tells of it with each byte
 * that its peer reads. */
static int control(struct loop *l, int op, struct loop_watch *w, int fd, uint32_t events)
{
	uint32_t always = w->edge ? EPOLLIN | EPOLLRDHUP | EPOLLET : 0;
	struct epoll_event ev = {.events = events | always, .data.ptr = w};

	if (epoll_ctl(l->epoll_fd, op, fd, &ev) < 0)
		return -errno;
	w->events = events & EVENTS;
	w->told = 0; /* what is still so is told again */
	return 0;
}

int loop_watch(struct loop *l, struct loop_watch *w, int fd, uint32_t events)
{
	int r;

	w->edge = (events & EPOLLET) != 0;
	r = control(l, EPOLL_CTL_ADD, w, fd, events & ~(uint32_t)EPOLLET);
	if (r == 0)
		w->fd = fd;
	return r;
}

int loop_rewatch(struct loop *l, struct loop_watch *w, uint32_t events)
{
	uint32_t changed = w->events ^ events, matters = w->edge ? changed & EPOLLOUT : changed;

	if (matters || (w->edge && w->told & events))
		return control(l, EPOLL_CTL_MOD, w, w->fd, events);
	w->events = events & EVENTS;
	return 0;
}

int loop_again(struct loop *l, struct loop_watch *w)
{
	return w->fd >= 0 ? loop_rewatch(l, w, w->events) : 0;
}

void loop_took(struct loop_watch *w, uint32_t events)
{
	if (!(events & EPOLLIN && w->told & HANG_UP))
		w->told &= ~events & EVENTS;
}

void loop_unwatch(struct loop *l, struct loop_watch *w)
{
	if (w->fd < 0)
		return;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	for (int i = l->ready_at; i < l->ready_count; i++)
		if (l->ready[i].data.ptr == w)
			l->ready[i].data.ptr = NULL;
	for (int i = 0; i < l->early_count; i++)
		if (l->early[i].data.ptr == w)
			l->early[i].data.ptr = NULL;
}

/* Less what the owner stopped waiting for since the events were fetched. */
static uint32_t wanted(const struct loop_watch *w, const struct epoll_event *ev)
{
	return ev->events & (w->events | EPOLLHUP | EPOLLERR);
}

static void run_watches(struct loop *l)
{
	for (l->ready_at = 0; l->ready_at < l->ready_count; l->ready_at++) {
		struct epoll_event *ev = &l->ready[l->ready_at];
		struct loop_watch *w = ev->data.ptr;
		uint32_t events = w ? wanted(w, ev) : 0;

		if (w && w->edge)
			w->told |= ev->events & EVENTS;
		if (events)
			w->run(w, events);
	}
	l->ready_count = 0;
}

/* An edge is told of once, so it is kept; nobody is disturbed by one that is not waited for. All else will be told again. */
static bool keep(struct loop *l, const struct epoll_event *ev)
{
	struct loop_watch *w = ev->data.ptr;

	if (!w->edge)
		return true;
	w->told |= ev->events & EVENTS;
	if (wanted(w, ev) == 0)
		return false;
	l->early[l->early_count++] = *ev;
	return true;
}

bool loop_has_ready(struct loop *l)
{
	struct epoll_event some[BATCH];
	bool any = l->early_count > 0;
	int n = any ? 0
		    : epoll_pwait(l->epoll_fd, some, BATCH, 0, NULL); /* not epoll_wait(), by which turns are told */

	for (int i = 0; i < n; i++)
		any |= keep(l, &some[i]);
	return any;
}

/* What was kept, and as much of the rest as has room. */
static int fetch(struct loop *l, int max_wait_ms)
{
	int early = l->early_count, n;

	memcpy(l->ready, l->early, (size_t)early * sizeof(l->early[0]));
	l->early_count = 0;
	l->ready_at = 0;
	l->ready_count = early;
	if (early == BATCH)
		return 0;
	n = epoll_wait(l->epoll_fd, l->ready + early, BATCH - early, early > 0 ? 0 : max_wait_ms);
	if (n > 0)
		l->ready_count += n;
	return n < 0 && errno != EINTR ? -errno : 0;
}

/* --- the loop ----------------------------------------------------------------------------------------------- */

static void woken_to_stop(struct loop_watch *w, uint32_t events)
{
	uint64_t ignored;

	(void)events;
	while (read(w->fd, &ignored, sizeof(ignored)) < 0 && errno == EINTR)
		;
}

int loop_new(struct loop **out, const struct clock *clock)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r = l ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	l->clock = clock;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->stop_watch.run = woken_to_stop;
	if (l->epoll_fd < 0 || l->stop_fd < 0)
		r = -errno;
	if (r == 0)
		r = loop_watch(l, &l->stop_watch, l->stop_fd, EPOLLIN);
	if (r < 0) {
		loop_free(l);
		return r;
	}
	l->now_ms = clock_mono_ms(clock);
	*out = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->stop_fd >= 0)
		close(l->stop_fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	free(l);
}

static int wait_ms(const struct loop *l, int64_t max_wait_ms)
{
	int64_t wait = max_wait_ms;

	if (l->first)
		return 0;
	if (l->soonest) {
		int64_t until = l->soonest->due_ms - clock_mono_ms(l->clock);

		until = until < 0 ? 0 : until;
		if (wait < 0 || until < wait)
			wait = until;
	}
	return wait > INT_MAX ? INT_MAX : (int)wait;
}

int loop_turn(struct loop *l, int64_t max_wait_ms)
{
	int r = fetch(l, wait_ms(l, max_wait_ms)), count = l->ready_count;

	if (r < 0)
		return r;
	l->now_ms = clock_mono_ms(l->clock);
	l->turning = true;
	run_watches(l);
	if (count < BATCH || ++l->full_turns == FULL_TURNS) {
		l->full_turns = 0;
		run_timers(l);
	}
	run_tasks(l);
	l->turning = false;
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	while (r == 0 && !atomic_exchange(&l->stopping, false))
		r = loop_turn(l, -1);
	return r;
}

void loop_stop(struct loop *l)
{
	uint64_t one = 1;

	atomic_store(&l->stopping, true);
	while (write(l->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int64_t loop_now_ms(const struct loop *l)
{
	return l->turning ? l->now_ms : clock_mono_ms(l->clock);
}

const struct clock *loop_clock(const struct loop *l)
{
	return l->clock;
}
