/* SPDX-License-Identifier: MIT */
/* The thread of a line. A turn is one thing: open the port, run the most urgent job, probe a device that is offline,
 * or wait for the first of these to come due. Nothing is done in the background, since a bus is one conversation. */
#include "drivers/line_state.h"

#include "base/log.h"
#include "drivers/port.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
	INBOX_CAP = 64,
	TAPE_OF_PORT = 64 * 1024, /* some hundred frames */
	TAPE_OF_ADDRESS = 2 * 1024,
	PORT_RETRY_MS = 200, /* looking for a device node costs nothing */
	ACCOUNT_US = 5000000,
	LONGEST_WAIT_US = 1000000, /* a turn at least so often, for the account */
	STACK_BYTES = 256 * 1024,
	PROBE_SHARE = 50, /* probes that others wait for take a fiftieth of the time, at most */
};

static const struct device_opts *device_of(const struct line *l, size_t device)
{
	return l->opts->devices[device];
}

/* --- for the driver --- */

int line_slot(const struct line *l)
{
	return l->slot;
}

struct tape *line_tape(const struct line *l)
{
	return l->tape;
}

int line_stop_fd(const struct line *l)
{
	return l->stop_fd;
}

void line_watch(struct line *l, int fd)
{
	l->watch_fd = fd;
}

int64_t line_turnaround_us(const struct line *l, size_t device)
{
	const struct pace *p = &l->devices[device].health.pace;

	return p->measured ? p->turnaround_us : -1;
}

static int64_t max_timeout_us(const struct line *l, size_t device)
{
	int64_t own_ms = device_of(l, device)->reply_timeout_ms;

	return 1000 * (own_ms ? own_ms : l->opts->reply_timeout_ms);
}

int64_t line_timeout_us(const struct line *l, size_t device)
{
	return device_timeout_us(
		&l->devices[device].health, max_timeout_us(l, device), &l->pace, l->job_due_us - line_now_us(l));
}

/* --- the port --- */

static void port_failed(struct line *l, const char *reason)
{
	bool was_up = l->port_up;
	int64_t wait_ms = l->opts->address ? backoff_next_ms(&l->port_backoff, backoff_random()) : PORT_RETRY_MS;

	l->port_up = false;
	l->watch_fd = -1;
	l->port_retry_us = line_now_us(l) + 1000 * wait_ms;
	atomic_store_explicit(&l->up, false, memory_order_relaxed);
	if (l->port_told && !was_up)
		return;
	l->port_told = true;
	log_warn("line=%s port=%s state=down reason=\"%s\"; trying again until it is there", l->opts->head.name,
		l->opts->port ? l->opts->port : l->opts->address, reason);
	l->sink.port(l->sink.ctx, l->opts, false, reason);
	for (size_t i = 0; i < l->opts->device_count; i++) {
		line_step(l, i, DEVICE_PORT_GONE, "port");
		line_all_bad(l, i, "port");
	}
}

static void port_lost(struct line *l, const char *reason)
{
	l->ops->close(l->driver);
	port_failed(l, reason);
}

static void open_port(struct line *l)
{
	int r = l->ops->open ? l->ops->open(l->driver) : 0;

	if (r == -ECANCELED)
		return;
	if (r < 0) {
		port_failed(l, l->opts->port ? port_reason(-r) : strerror(-r));
		return;
	}
	l->port_up = true;
	l->port_told = true;
	backoff_reset(&l->port_backoff);
	atomic_store_explicit(&l->up, true, memory_order_relaxed);
	if (l->ops->open)
		log_info("line=%s port=%s state=up", l->opts->head.name,
			l->opts->port ? l->opts->port : l->opts->address);
	l->sink.port(l->sink.ctx, l->opts, true, NULL);
	schedule_now(&l->schedule, SIZE_MAX, line_now_us(l));
}

/* --- jobs and probes --- */

void line_settle(struct line *l, size_t device, enum outcome o, const char *reason)
{
	switch (o) {
	case OUTCOME_OK:
	case OUTCOME_STOPPED: break;
	case OUTCOME_REFUSED: line_count_device(l, device, COUNT_EXCEPTIONS, 1); break;
	case OUTCOME_SILENT:
		line_count_device(l, device, COUNT_TIMEOUTS, 1);
		line_step(l, device, DEVICE_SILENT, reason);
		break;
	case OUTCOME_GARBLED:
		line_count_device(l, device, COUNT_GARBLED, 1);
		line_step(l, device, DEVICE_GARBLED, reason);
		break;
	case OUTCOME_GONE: port_lost(l, reason); break;
	}
}

static bool is_ready(void *ctx, size_t device)
{
	const struct line *l = ctx;

	return device_ready(&l->devices[device].health, line_now_us(l));
}

static void run_job(struct line *l, struct job *j, bool alone)
{
	const struct device *health = &l->devices[j->device].health;
	const char *reason = NULL;
	int64_t from_us = line_now_us(l);
	enum outcome o;

	line_count_device(l, j->device, COUNT_REQUESTS, 1);
	o = l->ops->run(l->driver, j, &reason);
	l->busy_us += line_now_us(l) - from_us;
	line_settle(l, j->device, o, reason);
	schedule_done(j, line_now_us(l), alone);
	if (health->state != DEVICE_RETRYING)
		return;
	/* What failed is wanted again before its next turn, once the device may be asked; but behind all others that
	 * wait already, or they would pay for several of its time-outs in one round. */
	if (j->due_us > health->held_until_us)
		j->due_us = health->held_until_us > from_us ? health->held_until_us : from_us;
	schedule_last(&l->schedule, j->device, from_us);
}

static void run_probe(struct line *l, size_t device)
{
	const char *reason = NULL;
	int64_t from_us = line_now_us(l);
	enum outcome o;

	line_step(l, device, DEVICE_PROBE, NULL);
	line_count_device(l, device, COUNT_REQUESTS, 1);
	o = l->ops->probe(l->driver, device, &reason);
	l->probed_us = line_now_us(l);
	l->busy_us += l->probed_us - from_us;
	line_settle(l, device, o, reason);
}

/* May a probe that takes cost_us run now? When nobody wants the line meanwhile; else once it has waited as long again
 * as it had to, if all such probes together take no more than their share of the line. */
static bool has_time(const struct line *l, const struct device *d, int64_t cost_us, int64_t now_us, int64_t job_due_us)
{
	if (job_due_us >= now_us + cost_us)
		return true;
	return now_us >= d->probe_due_us + d->probe_wait_us && now_us >= l->probed_us + PROBE_SHARE * cost_us;
}

/* The offline device whose probe is due longest, if the line has the time for it. SIZE_MAX: none; *due_us: when to look
 * again. */
static size_t choose_probe(const struct line *l, int64_t now_us, int64_t job_due_us, int64_t *due_us)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < l->opts->device_count; i++) {
		const struct device *d = &l->devices[i].health;
		int64_t cost_us = device_timeout_us(d, max_timeout_us(l, i), &l->pace, 0);

		if (d->state != DEVICE_OFFLINE)
			continue;
		if (!device_wants_probe(d, now_us)) {
			int64_t at_us = d->probe_due_us > d->held_until_us ? d->probe_due_us : d->held_until_us;

			*due_us = at_us < *due_us ? at_us : *due_us;
			continue;
		}
		if (!has_time(l, d, cost_us, now_us, job_due_us))
			continue;
		if (best == SIZE_MAX || d->probe_due_us < l->devices[best].health.probe_due_us)
			best = i;
	}
	return best;
}

/* --- waiting --- */

static void take_input(struct line *l)
{
	const char *reason = "port";

	if (l->ops->input(l->driver, &reason) == OUTCOME_GONE)
		port_lost(l, reason);
}

static void wait_until(struct line *l, int64_t until_us)
{
	struct pollfd p[3] = {{.fd = l->stop_fd, .events = POLLIN}, {.fd = l->watch_fd, .events = POLLIN},
		{.fd = mailbox_fd(&l->inbox), .events = POLLIN}};
	int64_t left_us = until_us - line_now_us(l);
	struct timespec left;

	if (left_us <= 0)
		return;
	if (left_us > LONGEST_WAIT_US)
		left_us = LONGEST_WAIT_US;
	left = (struct timespec){.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
	if (ppoll(p, 3, &left, NULL) <= 0)
		return;
	if (p[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		port_lost(l, "port");
	else if (p[1].revents)
		take_input(l);
}

/* When there may be something to do: a job, a probe, or a device that was held back. */
static int64_t next_us(const struct line *l, const struct job *j, int64_t probe_us, int64_t now_us)
{
	int64_t next = j && j->due_us < probe_us ? j->due_us : probe_us;

	for (size_t i = 0; i < l->opts->device_count; i++) {
		const struct device *d = &l->devices[i].health;

		if (d->state == DEVICE_RETRYING && d->held_until_us > now_us && d->held_until_us < next)
			next = d->held_until_us;
	}
	return next;
}

/* Shares of the last few seconds, for the statistics. */
static void account(struct line *l, int64_t now_us)
{
	int64_t span_us = now_us - l->window_us;
	int64_t stretched_us = l->schedule.stretched_us - l->stretched_us;

	if (span_us < ACCOUNT_US)
		return;
	if (stretched_us > span_us)
		stretched_us = span_us;
	atomic_store_explicit(&l->busy_permille, (unsigned)(1000 * l->busy_us / span_us), memory_order_relaxed);
	atomic_store_explicit(
		&l->rate_permille, (unsigned)(1000 - 1000 * stretched_us / span_us), memory_order_relaxed);
	l->window_us = now_us;
	l->busy_us = 0;
	l->stretched_us = l->schedule.stretched_us;
}

static void turn(struct line *l)
{
	int64_t now_us = line_now_us(l);
	int64_t due_us = INT64_MAX;
	struct job *j;
	size_t device;

	account(l, now_us);
	if (line_run_errand(l))
		return;
	if (!l->port_up) {
		if (l->port_retry_us <= now_us)
			open_port(l);
		else
			wait_until(l, l->port_retry_us);
		return;
	}
	j = schedule_next(&l->schedule, is_ready, l, now_us);
	l->job_due_us = j ? j->due_us : INT64_MAX;
	device = choose_probe(l, now_us, l->job_due_us, &due_us);
	if (device != SIZE_MAX)
		run_probe(l, device);
	else if (j && j->due_us <= now_us)
		run_job(l, j, schedule_late(&l->schedule, is_ready, l, now_us) <= 1);
	else
		wait_until(l, next_us(l, j, due_us, now_us));
}

static void *run(void *arg)
{
	struct line *l = arg;

	owner_take(&l->owner);
	/* The silence of a fast line is 1.75 ms: the usual slack of timers would add 3 % to it. */
	prctl(PR_SET_TIMERSLACK, 1);
	l->window_us = line_now_us(l);
	while (!line_stopping(l))
		turn(l);
	line_drop_errands(l);
	line_close_windows(l);
	if (l->port_up && l->ops->close)
		l->ops->close(l->driver);
	owner_release(&l->owner);
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
		size_t points = device_of(l, i)->points.count;

		d->points = calloc(points ? points : 1, sizeof(*d->points));
		if (!d->points)
			return -ENOMEM;
		for (size_t k = 0; k < points; k++)
			if (report_init(&d->points[k], (const struct point_opts *)device_of(l, i)->points.items + k) <
				0)
				return -ENOMEM;
		device_init(&d->health, max_timeout_us(l, i), (unsigned)l->opts->retries, 1000 * l->opts->probe_min_ms,
			1000 * l->opts->probe_max_ms);
		d->turnaround_us = -1;
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
	l->watch_fd = l->stop_fd = l->slot = -1;
	l->rate_permille = 1000;
	l->port_backoff = (struct backoff){.floor_ms = 100, .base_ms = 500, .cap_ms = opts->probe_max_ms};
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->stop_fd >= 0)
		l->slot = port_slot_take();
	r = l->stop_fd < 0 ? -errno : l->slot < 0 ? l->slot : mailbox_init(&l->inbox, INBOX_CAP);
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

int line_start(struct line *l)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r == 0) {
		r = pthread_attr_setstacksize(&attr, STACK_BYTES);
		if (r == 0)
			r = pthread_create(&l->thread, &attr, run, l);
		pthread_attr_destroy(&attr);
	}
	l->started = r == 0;
	return -r;
}

void line_ask_stop(struct line *l)
{
	uint64_t one = 1;

	atomic_store_explicit(&l->stop, true, memory_order_relaxed);
	/* Only a full counter could refuse it, and then it is readable already. */
	if (write(l->stop_fd, &one, sizeof(one)) < 0)
		return;
}

void line_stop(struct line *l)
{
	if (!l->started)
		return;
	line_ask_stop(l);
	pthread_join(l->thread, NULL);
	l->started = false;
}

static void free_points(struct line *l, size_t device)
{
	struct report_state *points = l->devices[device].points;

	for (size_t i = 0; points && i < device_of(l, device)->points.count; i++)
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
	port_slot_free(l->slot);
	if (l->stop_fd >= 0)
		close(l->stop_fd);
	free(l);
}
