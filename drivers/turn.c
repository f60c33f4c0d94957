/* SPDX-License-Identifier: MIT */
/* What a line does next. A turn is one thing: an errand, open the port, run the most urgent job, or probe a device that
 * is offline. Nothing is done in the background, since a bus is one conversation. */
#include "drivers/line_state.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PORT_RETRY_US = 100000, /* looking for a device node costs nothing */
	HOST_RETRY_US = 250000, /* the shortest */
	GONE_SHARE = 20,        /* a host is tried again after a twentieth of the time that it has been gone */
	BUSY_PAUSE_US = 100000, /* before a device that was busy is asked again */
	ACCOUNT_US = 5000000,
	PROBE_SHARE = 100, /* probes that others wait for take a hundredth of the time, at most; */
	IDLE_SHARE = 8,    /* others an eighth, since a command may come that waits for one */
};

int64_t line_max_timeout_us(const struct line *l, size_t device)
{
	int64_t own_ms = l->opts->devices[device]->reply_timeout_ms;

	return 1000 * (own_ms ? own_ms : l->opts->reply_timeout_ms);
}

int64_t line_timeout_us(const struct line *l, size_t device)
{
	/* Of a device that is not there an errand waits as long as a poll would. */
	if (l->patient && l->devices[device].health.state != DEVICE_OFFLINE)
		return line_max_timeout_us(l, device);
	return device_timeout_us(
		&l->devices[device].health, line_max_timeout_us(l, device), &l->pace, l->job_due_us - line_now_us(l));
}

/* --- the port --- */

/* One that restarts is back within moments, one that is switched off costs little. The pause is drawn from its upper
 * half: hosts that went together are not all tried together. */
static int64_t host_pause_us(int64_t gone_us, int64_t most_us, uint32_t random)
{
	int64_t pause_us = gone_us / GONE_SHARE > HOST_RETRY_US ? gone_us / GONE_SHARE : HOST_RETRY_US;

	if (pause_us > most_us)
		pause_us = most_us;
	return pause_us / 2 + (int64_t)random % (pause_us / 2 + 1);
}

static void port_failed(struct line *l, const char *reason)
{
	int64_t now_us = line_now_us(l);
	bool was_up = l->port_up;

	l->port_up = false;
	l->watch_fd = -1;
	if (l->port_gone_us == 0 || (was_up && now_us - l->port_opened_us > 1000 * l->opts->probe_max_ms))
		l->port_gone_us = now_us;
	l->port_retry_us = now_us + PORT_RETRY_US;
	if (l->opts->address)
		l->port_retry_us = now_us + host_pause_us(now_us - l->port_gone_us, 1000 * l->opts->probe_max_ms,
						    backoff_random());
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

static const char *why_not(const struct line *l, int error)
{
	return l->opts->port ? port_reason(-error) : strerror(-error);
}

void line_port_lost(struct line *l)
{
	const char *gone = l->opts->port ? "unplugged" : "it hung up";

	l->ops->close(l->driver);
	port_failed(l, l->port_error < 0 ? why_not(l, l->port_error) : gone);
}

static void open_port(struct line *l)
{
	int r = l->ops->open ? l->ops->open(l->driver) : 0;

	if (r == -ECANCELED)
		return;
	if (r < 0) {
		port_failed(l, why_not(l, r));
		return;
	}
	l->port_up = true;
	l->port_told = true;
	l->port_opened_us = line_now_us(l);
	atomic_store_explicit(&l->up, true, memory_order_relaxed);
	if (l->ops->open)
		log_info("line=%s port=%s state=up", l->opts->head.name,
			l->opts->port ? l->opts->port : l->opts->address);
	l->sink.port(l->sink.ctx, l->opts, true, NULL);
	schedule_now(&l->schedule, SIZE_MAX, line_now_us(l));
}

/* --- jobs and probes --- */

/* When most wires are marginal it is the line: noise, termination, or a second master. Else it is this one. */
static void tell_grade(const struct line *l, size_t device)
{
	const struct line_device *d = &l->devices[device];
	const char *name = l->opts->devices[device]->head.name;
	size_t marginal = 0;

	for (size_t i = 0; i < l->opts->device_count; i++)
		marginal += l->devices[i].grade.marginal;
	if (!d->grade.marginal) {
		log_info("device=%s line=%s wire=sound", name, l->opts->head.name);
		l->sink.device(l->sink.ctx, l->opts, l->opts->devices[device], d->health.state, NULL);
		return;
	}
	log_warn("device=%s line=%s unit=%lld wire=marginal quality=%.1f %% suspect=\"%s\"", name, l->opts->head.name,
		(long long)l->opts->devices[device]->unit, grade_permille(&d->grade) / 10.0,
		marginal > 1 && 2 * marginal > l->opts->device_count
			? "the whole line: termination, noise, or a second master"
			: "this device: its wiring, its supply, or a unit id that two have");
	l->sink.device(l->sink.ctx, l->opts, l->opts->devices[device], d->health.state, "marginal line or termination");
}

/* A device that does not answer at all is judged by its health, not by its wire. */
static void grade(struct line *l, size_t device, enum outcome o)
{
	static const int events[] = {[OUTCOME_OK] = GRADE_SOUND,
		[OUTCOME_REFUSED] = GRADE_SOUND,
		[OUTCOME_SILENT] = GRADE_MISSING,
		[OUTCOME_GARBLED] = GRADE_DAMAGED};
	struct line_device *d = &l->devices[device];

	if (!l->opts->port || o > OUTCOME_GARBLED || d->health.state == DEVICE_OFFLINE ||
		d->health.state == DEVICE_PROBING || (o == OUTCOME_SILENT && d->health.state != DEVICE_UP))
		return;
	if (grade_add(&d->grade, (enum grade_event)events[o]))
		tell_grade(l, device);
	atomic_store_explicit(&d->grade_permille, grade_permille(&d->grade), memory_order_relaxed);
}

void line_settle(struct line *l, size_t device, enum outcome o, const char *reason)
{
	grade(l, device, o);
	if (l->opts->port &&
		(o == OUTCOME_GARBLED || (o == OUTCOME_SILENT && l->devices[device].health.state == DEVICE_UP)))
		blackbox_fault(&l->blackbox, l->opts->head.name, l->tape, line_now_us(l));
	if (o != OUTCOME_OK && o != OUTCOME_STOPPED)
		atomic_store_explicit(&l->devices[device].reason, reason, memory_order_relaxed);
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
		if (strcmp(reason, "crc") == 0 || strcmp(reason, "lrc") == 0)
			line_count_device(l, device, COUNT_CRC, 1);
		line_step(l, device, DEVICE_GARBLED, reason);
		break;
	case OUTCOME_GONE: line_port_lost(l); break;
	}
}

static bool is_ready(void *ctx, size_t device)
{
	const struct line *l = ctx;

	return device_ready(&l->devices[device].health, line_now_us(l));
}

void line_ask_again(struct line *l)
{
	l->again = true;
}

/* How long ago it ran last, against how long ago that should have been. */
static void note_interval(struct line_device *d, const struct job *j, int64_t now_us)
{
	if (j->ran_us == 0)
		return;
	d->wanted_us += j->period_us;
	d->came_us += now_us - j->ran_us;
	if (d->quickest_us == 0 || j->period_us < d->quickest_us)
		d->quickest_us = j->period_us;
}

static void run_job(struct line *l, struct job *j, bool alone)
{
	const struct device *health = &l->devices[j->device].health;
	const char *reason = NULL;
	int64_t from_us = line_now_us(l);
	enum outcome o;

	line_count_device(l, j->device, COUNT_REQUESTS, 1);
	note_interval(&l->devices[j->device], j, from_us);
	l->late = schedule_begin(j, from_us);
	l->job_due_us = schedule_others_us(&l->schedule, j->device);
	l->again = false;
	o = l->ops->run(l->driver, j, &reason);
	l->late = false;
	l->busy_us += line_now_us(l) - from_us;
	line_settle(l, j->device, o, reason);
	schedule_done(j, line_now_us(l), alone);
	if (l->again && j->due_us > line_now_us(l) + BUSY_PAUSE_US)
		j->due_us = line_now_us(l) + BUSY_PAUSE_US;
	if (health->state != DEVICE_RETRYING)
		return;
	/* What failed is wanted again before its next turn, once the device may be asked; but behind all others that
	 * wait already, or they would pay for several of its time-outs in one round. */
	if (j->due_us > health->held_until_us)
		j->due_us = health->held_until_us > from_us ? health->held_until_us : from_us;
	schedule_last(&l->schedule, j->device, from_us);
}

/* What a probe takes that is not answered, mostly. */
static int64_t probe_cost_us(const struct line *l, size_t device)
{
	return l->probe_beside_us +
	       device_probe_us(&l->devices[device].health, line_max_timeout_us(l, device), &l->pace);
}

static void run_probe(struct line *l, size_t device, bool idle)
{
	struct device *d = &l->devices[device].health;
	const char *reason = NULL;
	int64_t from_us = line_now_us(l), timeout_us;
	enum outcome o;

	d->probe_most_us =
		idle ? IDLE_SHARE * (probe_cost_us(l, device) + line_max_timeout_us(l, device) / DEVICE_IDLE_PATIENT)
		     : PROBE_SHARE * probe_cost_us(l, device);
	line_step(l, device, DEVICE_PROBE, NULL);
	line_count_device(l, device, COUNT_REQUESTS, 1);
	timeout_us = line_timeout_us(l, device);
	o = l->ops->probe(l->driver, device, &reason);
	l->probed_us = line_now_us(l);
	l->busy_us += l->probed_us - from_us;
	if (o == OUTCOME_SILENT && l->probed_us - from_us > timeout_us)
		l->probe_beside_us = l->probed_us - from_us - timeout_us;
	line_settle(l, device, o, reason);
}

/* Does nobody want the line meanwhile? */
static bool has_idle_time(const struct line *l, size_t device, int64_t now_us, int64_t job_due_us)
{
	return job_due_us >= now_us + probe_cost_us(l, device);
}

/* The offline device whose probe is due longest, if the line has the time for it. SIZE_MAX: none; *due_us: when to look
 * again. */
static size_t choose_probe(const struct line *l, int64_t now_us, int64_t job_due_us, int64_t *due_us)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < l->opts->device_count; i++) {
		const struct device *d = &l->devices[i].health;

		if (d->state != DEVICE_OFFLINE)
			continue;
		if (!device_wants_probe(d, now_us)) {
			int64_t at_us = d->probe_due_us > d->held_until_us ? d->probe_due_us : d->held_until_us;

			*due_us = at_us < *due_us ? at_us : *due_us;
			continue;
		}
		/* All such probes together take no more than their share of a line that others wait for. */
		if (!has_idle_time(l, i, now_us, job_due_us) &&
			now_us < l->probed_us + PROBE_SHARE * probe_cost_us(l, i))
			continue;
		if (best == SIZE_MAX || d->probe_due_us < l->devices[best].health.probe_due_us)
			best = i;
	}
	return best;
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

/* Of one that is asked more rarely than that, since it was asked last. */
static void account_device(struct line_device *d)
{
	double slower = d->wanted_us > 0 ? (double)d->came_us / (double)d->wanted_us : 0;

	if (slower == 0)
		return;
	atomic_store_explicit(&d->every_us, d->quickest_us, memory_order_relaxed);
	atomic_store_explicit(
		&d->comes_us, (int64_t)((double)d->quickest_us * (slower > 1 ? slower : 1)), memory_order_relaxed);
	d->wanted_us = d->came_us = d->quickest_us = 0;
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
	for (size_t i = 0; i < l->opts->device_count; i++)
		account_device(&l->devices[i]);
	l->window_us = now_us;
	l->busy_us = 0;
	l->stretched_us = l->schedule.stretched_us;
}

int64_t line_turn(struct line *l)
{
	int64_t now_us = line_now_us(l);
	int64_t due_us = INT64_MAX;
	struct job *j;
	size_t device;

	account(l, now_us);
	if (line_run_errand(l))
		return 0;
	if (!l->port_up) {
		if (l->port_retry_us > now_us)
			return l->port_retry_us;
		open_port(l);
		return 0;
	}
	if (l->ops->tend)
		l->ops->tend(l->driver);
	j = schedule_next(&l->schedule, is_ready, l, now_us);
	l->job_due_us = j ? j->due_us : INT64_MAX;
	device = choose_probe(l, now_us, l->job_due_us, &due_us);
	if (device != SIZE_MAX)
		run_probe(l, device, has_idle_time(l, device, now_us, l->job_due_us));
	else if (j && j->due_us <= now_us)
		run_job(l, j, schedule_late(&l->schedule, is_ready, l, now_us) <= 1);
	else if (!line_pass_turn(l))
		return next_us(l, j, due_us, now_us);
	line_pass_turn(l);
	return 0;
}
