/* SPDX-License-Identifier: MIT */
/* Timers stand in one list by due time. There are few of them, and most are the latest when they are armed, so the
 * place is looked for from the end. */
#include "tests/lib/pace.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, AWAKE_US = 80, PRIORITY = 20 };

struct pace {
	int epoll_fd;
	bool stopping;
	int64_t awake_us; /* before a timer is due: not slept, but looked for it and for bytes in turn */
	struct pace_timer *first, *last;
	struct epoll_event ready[BATCH];
	int ready_at, ready_count;
};

int64_t pace_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int pace_new(struct pace **out)
{
	struct pace *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll_fd < 0) {
		free(p);
		return -errno;
	}
	prctl(PR_SET_TIMERSLACK, 1UL); /* else the kernel may round a wait up by 50 us */
	*out = p;
	return 0;
}

void pace_free(struct pace *p)
{
	if (!p)
		return;
	close(p->epoll_fd);
	free(p);
}

void pace_stop(struct pace *p)
{
	p->stopping = true;
}

void pace_exact(struct pace *p)
{
	struct sched_param param = {.sched_priority = PRIORITY};

	/* Refused to an ordinary user, who then measures on a quiet machine. */
	sched_setscheduler(0, SCHED_FIFO, &param);
	p->awake_us = AWAKE_US;
}

int pace_watch(struct pace *p, struct pace_watch *w, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	w->fd = fd;
	w->events = events;
	return 0;
}

int pace_rewatch(struct pace *p, struct pace_watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (w->fd < 0 || w->events == events)
		return 0;
	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev) < 0)
		return -errno;
	w->events = events;
	return 0;
}

void pace_unwatch(struct pace *p, struct pace_watch *w)
{
	if (w->fd < 0)
		return;
	epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	for (int i = p->ready_at; i < p->ready_count; i++)
		if (p->ready[i].data.ptr == w)
			p->ready[i].data.ptr = NULL;
}

void pace_disarm(struct pace *p, struct pace_timer *t)
{
	if (!t->armed)
		return;
	*(t->prev ? &t->prev->next : &p->first) = t->next;
	*(t->next ? &t->next->prev : &p->last) = t->prev;
	t->next = t->prev = NULL;
	t->armed = false;
}

void pace_arm(struct pace *p, struct pace_timer *t, int64_t due_us)
{
	struct pace_timer *before;

	pace_disarm(p, t);
	for (before = p->last; before && before->due_us > due_us; before = before->prev)
		;
	t->due_us = due_us;
	t->prev = before;
	t->next = before ? before->next : p->first;
	*(t->prev ? &t->prev->next : &p->first) = t;
	*(t->next ? &t->next->prev : &p->last) = t;
	t->armed = true;
}

/* At most those that were due at the start: a timer that arms itself for now must not starve the descriptors. */
static void run_timers(struct pace *p)
{
	int64_t now_us = pace_now_us();

	while (p->first && p->first->due_us <= now_us) {
		struct pace_timer *t = p->first;

		pace_disarm(p, t);
		t->run(t);
	}
}

static int wait_ready(struct pace *p)
{
	struct timespec left = {0}, *wait = NULL;
	int n;

	if (p->first) {
		int64_t us = p->first->due_us - p->awake_us - pace_now_us();

		us = us < 0 ? 0 : us;
		left = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
		wait = &left;
	}
	n = epoll_pwait2(p->epoll_fd, p->ready, BATCH, wait, NULL);
	if (n < 0 && errno != EINTR)
		return -errno;
	p->ready_count = n < 0 ? 0 : n;
	return 0;
}

int pace_run(struct pace *p)
{
	int r = 0;

	while (r == 0 && !p->stopping) {
		r = wait_ready(p);
		if (r < 0)
			break;
		/* Bytes before timers: a request that is already there is older than any timer of this turn. */
		for (p->ready_at = 0; p->ready_at < p->ready_count; p->ready_at++) {
			struct epoll_event *ev = &p->ready[p->ready_at];
			struct pace_watch *w = ev->data.ptr;

			if (w)
				w->run(w, ev->events);
		}
		p->ready_count = 0;
		run_timers(p);
	}
	return r;
}
