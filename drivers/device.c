/* SPDX-License-Identifier: MIT */
#include "drivers/device.h"

static enum device_state came_back(struct device *d, int64_t now_us, uint32_t random)
{
	(void)random;
	d->failures = 0;
	d->probes = 0;
	d->probe_wait_us = 0;
	d->late = false;
	d->held_until_us = now_us;
	return DEVICE_UP;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The pause is drawn from its upper half: devices that died together are not probed together. */
static enum device_state go_offline(struct device *d, int64_t now_us, uint32_t random)
{
	int64_t wait = d->probe_wait_us ? 2 * d->probe_wait_us : d->probe_min_us;
	int64_t most = d->probe_most_us > d->probe_min_us ? d->probe_most_us : d->probe_min_us;

	d->probe_wait_us = least(wait, least(d->probe_most_us ? most : INT64_MAX, d->probe_max_us));
	d->probe_due_us = now_us + d->probe_wait_us / 2 + (int64_t)random % (d->probe_wait_us / 2 + 1);
	return DEVICE_OFFLINE;
}

static enum device_state count_failure(struct device *d, int64_t now_us, uint32_t random)
{
	if (++d->failures >= d->retries)
		return go_offline(d, now_us, random);
	return DEVICE_RETRYING;
}

static enum device_state fell_silent(struct device *d, int64_t now_us, uint32_t random)
{
	d->held_until_us = now_us + 2 * d->hold_us;
	return count_failure(d, now_us, random);
}

/* It is there, and slower than was thought. */
static enum device_state heard_late(struct device *d, int64_t now_us, uint32_t random)
{
	(void)random;
	d->late = true;
	d->held_until_us = least(d->held_until_us, now_us);
	d->probe_due_us = least(d->probe_due_us, now_us);
	return d->state;
}

static enum device_state begin_probe(struct device *d, int64_t now_us, uint32_t random)
{
	(void)now_us;
	(void)random;
	d->probes++;
	return DEVICE_PROBING;
}

static enum device_state forget(struct device *d, int64_t now_us, uint32_t random)
{
	(void)random;
	d->failures = 0;
	d->probe_wait_us = 0;
	d->held_until_us = now_us;
	return DEVICE_UNKNOWN;
}

/* An empty cell is an event that cannot be in that state: counted, survived. */
static enum device_state (*const step[][DEVICE_EVENTS])(struct device *d, int64_t now_us, uint32_t random) = {
	[DEVICE_UNKNOWN] = {[DEVICE_ANSWERED] = came_back,
		[DEVICE_SILENT] = fell_silent,
		[DEVICE_GARBLED] = count_failure,
		[DEVICE_LATE] = heard_late,
		[DEVICE_PORT_GONE] = forget},
	[DEVICE_UP] = {[DEVICE_ANSWERED] = came_back,
		[DEVICE_SILENT] = fell_silent,
		[DEVICE_GARBLED] = count_failure,
		[DEVICE_LATE] = heard_late,
		[DEVICE_PORT_GONE] = forget},
	[DEVICE_RETRYING] = {[DEVICE_ANSWERED] = came_back,
		[DEVICE_SILENT] = fell_silent,
		[DEVICE_GARBLED] = count_failure,
		[DEVICE_LATE] = heard_late,
		[DEVICE_PORT_GONE] = forget},
	[DEVICE_OFFLINE] = {[DEVICE_ANSWERED] = came_back,
		[DEVICE_LATE] = heard_late,
		[DEVICE_PROBE] = begin_probe,
		[DEVICE_PORT_GONE] = forget},
	[DEVICE_PROBING] = {[DEVICE_ANSWERED] = came_back,
		[DEVICE_SILENT] = go_offline,
		[DEVICE_GARBLED] = go_offline,
		[DEVICE_LATE] = heard_late,
		[DEVICE_PORT_GONE] = forget},
};

void device_init(
	struct device *d, int64_t reply_timeout_us, unsigned retries, int64_t probe_min_us, int64_t probe_max_us)
{
	*d = (struct device){.state = DEVICE_UNKNOWN,
		.hold_us = reply_timeout_us,
		.retries = retries,
		.probe_min_us = probe_min_us,
		.probe_max_us = probe_max_us};
}

bool device_step(struct device *d, enum device_event event, int64_t now_us, uint32_t random)
{
	enum device_state before = d->state;

	if (!step[d->state][event]) {
		d->unexpected++;
		return false;
	}
	d->state = step[d->state][event](d, now_us, random);
	return d->state != before;
}

bool device_ready(const struct device *d, int64_t now_us)
{
	return d->state != DEVICE_OFFLINE && d->state != DEVICE_PROBING && d->held_until_us <= now_us;
}

bool device_wants_probe(const struct device *d, int64_t now_us)
{
	return d->state == DEVICE_OFFLINE && d->probe_due_us <= now_us && d->held_until_us <= now_us;
}

int64_t device_probe_us(const struct device *d, int64_t max_us, const struct pace *others)
{
	int64_t wait_us = pace_haste_us(&d->pace, others);

	return wait_us > 0 ? least(wait_us, max_us) : max_us;
}

/* One that comes back slower than it was is found by those few that wait longer. */
static int64_t probe_us(const struct device *d, int64_t max_us, const struct pace *others, int64_t idle_us)
{
	static const struct {
		unsigned every, times;
	} patient[] = {{512, 64}, {128, 16}, {32, 4}};
	int64_t wait_us = device_probe_us(d, max_us, others);

	if (idle_us >= max_us)
		return d->probes % DEVICE_IDLE_PATIENT == 0 ? max_us
							    : least(pace_patience_us(&d->pace, others), max_us);
	for (size_t i = 0; i < sizeof(patient) / sizeof(*patient); i++)
		if (d->probes % patient[i].every == 0)
			return least(patient[i].times * wait_us, max_us);
	return wait_us;
}

int64_t device_timeout_us(const struct device *d, int64_t max_us, const struct pace *others, int64_t idle_us)
{
	int64_t wait_us = pace_patience_us(&d->pace, others);

	if (wait_us == 0 || d->late)
		return max_us;
	if (d->state == DEVICE_PROBING)
		return probe_us(d, max_us, others, idle_us);
	/* Others have paid for one full wait already. */
	if (d->state == DEVICE_RETRYING && idle_us < wait_us)
		return device_probe_us(d, max_us, others);
	/* One that was never heard may be slower than its neighbours. */
	if (d->state == DEVICE_UNKNOWN)
		wait_us *= d->pace.measured ? 2 : 4;
	return least(wait_us > idle_us ? wait_us : idle_us, max_us);
}

const char *device_state_name(enum device_state s)
{
	static const char *const names[] = {[DEVICE_UNKNOWN] = "unknown",
		[DEVICE_UP] = "up",
		[DEVICE_RETRYING] = "retrying",
		[DEVICE_OFFLINE] = "offline",
		[DEVICE_PROBING] = "probing"};

	return names[s];
}
