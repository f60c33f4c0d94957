/* SPDX-License-Identifier: MIT */
#include "gateway/diagnose.h"

#include "drivers/opts.h"
#include "gateway/human.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ENOUGH_REQUESTS = 3, ENOUGH_FAULTS = 5, ENOUGH_RATE = 950 };

__attribute__((format(printf, 2, 3))) static size_t say(char *out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, DIAGNOSE_CAP, fmt, ap);
	va_end(ap);
	return n < 0 ? 0 : n < DIAGNOSE_CAP ? (size_t)n : DIAGNOSE_CAP - 1;
}

static bool is_down(const struct line_device_stats *st)
{
	return st->state == DEVICE_OFFLINE || st->state == DEVICE_PROBING || st->state == DEVICE_RETRYING;
}

static bool reason_is(const struct line_device_stats *st, const char *reason)
{
	return st->reason && strcmp(st->reason, reason) == 0;
}

/* Bytes came that were no reply. */
static bool is_damage(const struct line_device_stats *st)
{
	static const char *const damages[] = {"crc", "lrc", "truncated", "frame", "noise"};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
		if (reason_is(st, damages[i]))
			return true;
	return false;
}

/* --- the line ---------------------------------------------------------------------------------------------------- */

struct sum {
	uint64_t requests, replies, garbled;
	size_t down, heard; /* devices; that ever answered */
};

static struct sum sum_up(const struct diagnose *d)
{
	struct sum s = {0};

	for (size_t i = 0; i < d->opts->device_count; i++) {
		s.requests += d->devices[i].count[COUNT_REQUESTS];
		s.replies += d->devices[i].count[COUNT_REPLIES];
		s.garbled += d->devices[i].count[COUNT_GARBLED];
		s.down += is_down(&d->devices[i]);
		s.heard += d->devices[i].answered_ms > 0;
	}
	return s;
}

static size_t never_heard(const struct diagnose *d, const struct sum *s, char *out)
{
	const char *name = d->opts->head.name;

	if (!line_is_bus(d->opts))
		return say(out,
			"it is connected, and nobody has ever answered: another unit id, or the gateway there does not "
			"reach its devices");
	if (s->garbled > 0 || d->line->count[COUNT_NOISE] > 0)
		return say(out,
			"something speaks here and nothing can be read: another rate, parity or stop bits, A and B "
			"swapped, or a second master; `weir scan %s --settings` tries others, `weir trace %s` shows "
			"the bytes",
			name, name);
	return say(out,
		"nobody has ever answered here: no power, A and B swapped, another rate or parity, or the wrong port; "
		"`weir scan %s --settings` tries others",
		name);
}

static size_t overloaded(const struct diagnose *d, char *out)
{
	if (d->line->rate_permille >= ENOUGH_RATE)
		return 0;
	return say(out, "it is asked for more than it carries; `weir check --plan` shows which device takes how much "
			"of it, and what to change");
}

size_t diagnose_line(const struct diagnose *d, char *out)
{
	struct sum s = sum_up(d);

	out[0] = '\0';
	if (!line_is_modbus(d->opts) || !d->line->up || s.requests < ENOUGH_REQUESTS)
		return 0;
	if (s.down == 0)
		return overloaded(d, out);
	if (s.replies == 0)
		return never_heard(d, &s, out);
	if (s.down == d->opts->device_count && s.heard > 1)
		return say(
			out, "all devices fell silent: look at what they share, the cable, the converter, the power");
	return 0;
}

/* --- a device ---------------------------------------------------------------------------------------------------- */

static size_t silent(const struct diagnose *d, size_t device, char *out)
{
	const struct device_opts *o = d->opts->devices[device];
	const struct line_device_stats *st = &d->devices[device];
	char old[32];

	if (st->answered_ms > 0)
		return say(out,
			"it answered until %s ago: its power, its stub of the cable, or its address was changed",
			human_age(old, d->now_ms - st->answered_ms));
	return say(out,
		"nobody has ever answered as unit %lld: another unit id, or no power; `weir scan %s` shows who does",
		(long long)o->unit, d->opts->head.name);
}

static size_t down(const struct diagnose *d, size_t device, char *out)
{
	const struct device_opts *o = d->opts->devices[device];
	const struct line_device_stats *st = &d->devices[device];

	if (reason_is(st, "foreign"))
		return say(out,
			"another unit answers in the place of unit %lld: two addresses are swapped, or a converter "
			"changes them; `weir trace %s` shows whose",
			(long long)o->unit, d->opts->head.name);
	if (is_damage(st))
		return say(out,
			"its replies come damaged (%s): two devices with unit %lld, other line settings, missing "
			"termination, noise; `weir trace %s` shows the bytes",
			st->reason, (long long)o->unit, d->opts->head.name);
	if (reason_is(st, "no echo") || reason_is(st, "echo"))
		return say(out, "the adapter does not return what is sent; remove `echo: true` of line %s",
			d->opts->head.name);
	if (reason_is(st, "exception 10") || reason_is(st, "exception 11"))
		return say(out, "the gateway at %s answers in its place that it does not reach unit %lld",
			d->opts->address ? d->opts->address : d->opts->port, (long long)o->unit);
	return silent(d, device, out);
}

static unsigned percent(uint64_t part, uint64_t of)
{
	return of ? (unsigned)(100 * part / of) : 0;
}

/* It answers, and not as it should. */
static size_t unwell(const struct diagnose *d, size_t device, char *out)
{
	const struct device_opts *o = d->opts->devices[device];
	const uint64_t *count = d->devices[device].count;

	if (count[COUNT_GARBLED] >= ENOUGH_FAULTS && percent(count[COUNT_GARBLED], count[COUNT_REQUESTS]) >= 1)
		return say(out, "%u %% of its replies come damaged: a marginal line, missing termination, or noise",
			percent(count[COUNT_GARBLED], count[COUNT_REQUESTS]));
	if (count[COUNT_TIMEOUTS] >= ENOUGH_FAULTS && percent(count[COUNT_TIMEOUTS], count[COUNT_REQUESTS]) >= 5)
		return say(out, "it misses %u %% of what it is asked: it is slow, or the line is marginal",
			percent(count[COUNT_TIMEOUTS], count[COUNT_REQUESTS]));
	if (count[COUNT_EXCEPTIONS] >= ENOUGH_FAULTS && percent(count[COUNT_EXCEPTIONS], count[COUNT_REQUESTS]) >= 5)
		return say(out, "it refuses some of what its map asks (%s); `weir points /%s/` shows which",
			d->devices[device].reason ? d->devices[device].reason : "exception", o->head.name);
	return 0;
}

size_t diagnose_device(const struct diagnose *d, size_t device, char *out)
{
	const struct line_device_stats *st = &d->devices[device];

	out[0] = '\0';
	if (!line_is_modbus(d->opts) || !d->line->up)
		return 0;
	return is_down(st) ? down(d, device, out) : st->state == DEVICE_UP ? unwell(d, device, out) : 0;
}
