/* SPDX-License-Identifier: MIT */
/* The life of a line, and its thread where it has one of its own. */
#include "drivers/line_state.h"

#include "base/log.h"
#include "drivers/engine.h"
#include "drivers/urgent.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
	INBOX_CAP = 64,
	TAPE_OF_PORT = 64 * 1024, /* some hundred frames */
	TAPE_OF_ADDRESS = 2 * 1024,
	LONGEST_WAIT_US = 1000000, /* a turn at least so often, for the account */
	STACK_BYTES = 256 * 1024,
	THREAD_NAME = 16, /* as the kernel has it */
};

/* --- for the driver --- */

int line_open_port(struct line *l, const struct line_opts *as, struct wire *w)
{
	int r = port_open(&l->port, as, l->waiter);

	l->port_error = r;
	if (r < 0)
		return r;
	wire_init(w, as, l->port.fd, l->waiter, l->clock);
	w->tape = l->tape;
	l->watch_fd = l->port.fd;
	return 0;
}

void line_close_port(struct line *l)
{
	l->watch_fd = -1;
	port_close(&l->port, l->waiter);
}

bool line_device_up(const struct line *l, size_t device)
{
	return l->devices[device].health.state == DEVICE_UP;
}

/* --- a thread of its own --- */

void line_input(struct line *l, short revents)
{
	bool unplugged = l->opts->port && revents & (POLLERR | POLLHUP | POLLNVAL);

	/* What the end of a connection means, the driver knows. */
	if (l->watch_fd >= 0 && (unplugged || l->ops->input(l->driver) == OUTCOME_GONE))
		line_port_lost(l);
}

static void wait_until(struct line *l, int64_t until_us)
{
	struct pollfd p[3] = {{.fd = l->alone.stop_fd, .events = POLLIN}, {.fd = l->watch_fd, .events = POLLIN},
		{.fd = mailbox_fd(&l->inbox), .events = POLLIN}};
	int64_t left_us = until_us - line_now_us(l);
	struct timespec left;

	if (left_us <= 0)
		return;
	if (left_us > LONGEST_WAIT_US)
		left_us = LONGEST_WAIT_US;
	left = (struct timespec){.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
	if (ppoll(p, 3, &left, NULL) > 0 && p[1].revents)
		line_input(l, p[1].revents);
}

void line_begin(struct line *l)
{
	owner_take(&l->owner);
	l->window_us = line_now_us(l);
}

void line_end(struct line *l)
{
	line_drop_errands(l);
	line_close_windows(l);
	if (l->port_up && l->ops->close)
		l->ops->close(l->driver);
	owner_release(&l->owner);
}

static void ask_urgency(const struct line *l)
{
	enum urgency u = urgent_ask();

	log_debug("line=%s priority=%s", l->opts->head.name, urgency_name(u));
}

static void *run(void *arg)
{
	struct line *l = arg;
	char name[THREAD_NAME];

	snprintf(name, sizeof(name), "line %s", l->opts->head.name);
	pthread_setname_np(pthread_self(), name);
	/* The silence of a fast line is 1.75 ms: the usual slack of timers would add 3 % to it. */
	prctl(PR_SET_TIMERSLACK, 1);
	if (l->opts->port)
		ask_urgency(l);
	line_begin(l);
	while (!line_stopping(l)) {
		int64_t until_us = line_turn(l);

		if (until_us > 0)
			wait_until(l, until_us);
	}
	line_end(l);
	return NULL;
}

/* --- life --- */

static int make_devices(struct line *l)
{
	l->devices = calloc(l->opts->device_count ? l->opts->device_count : 1, sizeof(*l->devices));
	if (!l->devices)
		return -ENOMEM;
	for (size_t i = 0; i < l->opts->device_count; i++) {
		struct line_device *d = &l->devices[i];
		size_t points = l->opts->devices[i]->points.count;

		d->points = calloc(points ? points : 1, sizeof(*d->points));
		if (!d->points)
			return -ENOMEM;
		for (size_t k = 0; k < points; k++)
			if (report_init(&d->points[k],
				    (const struct point_opts *)l->opts->devices[i]->points.items + k) < 0)
				return -ENOMEM;
		device_init(&d->health, line_max_timeout_us(l, i), (unsigned)l->opts->retries,
			1000 * l->opts->probe_min_ms, 1000 * l->opts->probe_max_ms);
		d->turnaround_us = d->median_us = d->p99_us = -1;
		d->grade_permille = GRADE_FULL;
	}
	return 0;
}

int line_new(struct line **out, const struct line_opts *opts, const struct line_sink *sink, const struct clock *clock)
{
	struct line *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->opts = opts;
	l->sink = *sink;
	l->clock = clock;
	l->ops = registry[opts->driver];
	l->watch_fd = l->alone.stop_fd = -1;
	l->rate_permille = 1000;
	l->median_us = l->p99_us = -1;
	r = port_init(&l->port, opts);
	if (r == 0)
		r = tape_new(&l->tape, opts->port ? TAPE_OF_PORT : TAPE_OF_ADDRESS);
	if (r == 0)
		r = make_devices(l);
	if (r == 0)
		r = l->ops->make(&l->driver, l, opts, clock, &l->schedule);
	if (r < 0) {
		line_free(l);
		return r;
	}
	*out = l;
	return 0;
}

size_t line_trace(const struct line *l, uint64_t after, struct tape_note *out, size_t max)
{
	return tape_read(l->tape, after, out, max);
}

static int start_thread(struct line *l)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r == 0) {
		r = pthread_attr_setstacksize(&attr, STACK_BYTES);
		if (r == 0)
			r = pthread_create(&l->thread, &attr, run, l);
		pthread_attr_destroy(&attr);
	}
	return -r;
}

int line_start(struct line *l)
{
	int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = stop_fd < 0 ? -errno : mailbox_init(&l->inbox, INBOX_CAP);

	waiter_alone_init(&l->alone, stop_fd, l->clock);
	l->waiter = &l->alone.waiter;
	if (r == 0)
		r = start_thread(l);
	l->started = r == 0;
	return r;
}

int line_start_on(struct line *l, struct engine *e)
{
	int r = berth_new(&l->berth, e, l);

	if (r < 0)
		return r;
	l->waiter = berth_waiter(l->berth);
	l->started = true;
	berth_start(l->berth);
	return 0;
}

void line_ask_stop(struct line *l)
{
	uint64_t one = 1;

	if (!l->started || atomic_exchange(&l->stop, true))
		return;
	if (l->berth)
		berth_ask_stop(l->berth);
	else if (write(l->alone.stop_fd, &one, sizeof(one)) < 0)
		return; /* only a full counter could refuse it, and then it is readable already */
}

void line_stop(struct line *l)
{
	if (!l->started)
		return;
	line_ask_stop(l);
	if (l->berth)
		berth_join(l->berth);
	else
		pthread_join(l->thread, NULL);
	l->started = false;
}

static void free_points(struct line *l, size_t device)
{
	struct report_state *points = l->devices[device].points;

	for (size_t i = 0; points && i < l->opts->devices[device]->points.count; i++)
		report_fini(&points[i]);
	free(points);
}

void line_free(struct line *l)
{
	if (!l)
		return;
	line_stop(l);
	l->ops->free(l->driver);
	for (size_t i = 0; l->devices && i < l->opts->device_count; i++)
		free_points(l, i);
	free(l->devices);
	schedule_fini(&l->schedule);
	mailbox_fini(&l->inbox);
	tape_free(l->tape);
	port_fini(&l->port);
	berth_free(l->berth);
	if (l->alone.stop_fd >= 0)
		close(l->alone.stop_fd);
	free(l);
}
