/* SPDX-License-Identifier: MIT */
#include "bridge/gate.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum {
	DAY_MINUTES = 24 * 60,
	MINUTE_MS = 60000,
	LEAST_AHEAD = 4096,
	SET_MS = 600000, /* a clock that moves by more than this at once was set */
	HELD_MS = 22 * 3600000,
};

/* --- hours --------------------------------------------------------------------------------------------------------- */

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static int two(const char *at)
{
	return digit(at[0]) && digit(at[1]) ? (at[0] - '0') * 10 + at[1] - '0' : -1;
}

/* HH:MM, 00:00 to 24:00; -1: it is not. */
static int time_of(const char **at)
{
	int hour = two(*at), minute;

	if (hour < 0 || (*at)[2] != ':')
		return -1;
	minute = two(*at + 3);
	if (minute < 0 || minute > 59 || hour * 60 + minute > DAY_MINUTES)
		return -1;
	*at += 5;
	return hour * 60 + minute;
}

static bool span_of(const char **at, struct gate_span *s)
{
	s->from = time_of(at);
	if (s->from < 0 || s->from == DAY_MINUTES || **at != '-')
		return false;
	++*at;
	s->to = time_of(at);
	return s->to >= 0 && s->to != s->from && s->to - s->from != DAY_MINUTES;
}

int gate_parse(const char *text, struct gate_span out[GATE_SPANS])
{
	int count = 0;

	for (;;) {
		text += strspn(text, " ");
		if (count == GATE_SPANS || !span_of(&text, &out[count]))
			return -EINVAL;
		count++;
		text += strspn(text, " ");
		if (*text == 0)
			return count;
		if (*text++ != ',')
			return -EINVAL;
	}
}

static bool within(const struct gate_span *s, int minute)
{
	if (s->from < s->to)
		return minute >= s->from && minute < s->to;
	return minute >= s->from || minute < s->to;
}

static bool hours_allow(const struct gate *g, int minute)
{
	for (int i = 0; i < g->span_count; i++)
		if (within(&g->spans[i], minute))
			return true;
	return g->span_count == 0;
}

/* --- the day's bytes ----------------------------------------------------------------------------------------------- */

static void write_down(struct gate *g, int64_t bytes)
{
	int r = g->meter.keep ? g->meter.keep(g->meter.ctx, g->day, bytes) : 0;

	g->marked = bytes;
	if (r < 0 && !g->complained)
		log_warn("upstream=%s bytes of today cannot be written down: %s; they are counted in memory",
			g->opts->head.name, strerror(-r));
	g->complained = r < 0;
}

/* Whether the wall clock's word for the day is to be doubted: at a start, or when more became known of the clock, where
 * that day lies before the one that was counted, or nobody vouches for it; later on when the clock was set. */
static bool doubtful(const struct gate *g, enum clock_state state, int64_t offset_ms, int64_t day)
{
	if (!g->looked || state < g->clock_state)
		return day < g->day || (state == CLOCK_ADRIFT && day != g->day && g->day != 0);
	return offset_ms - g->offset_ms > SET_MS || g->offset_ms - offset_ms > SET_MS;
}

/* What was spent stays spent while the day is held. A clock that nobody vouches for does not move it: the day of a boot
 * without a clock would else make a new one of today, once it is known. */
static void look_at_day(struct gate *g, int64_t now_ms, int64_t wall_ms, int64_t day)
{
	enum clock_state state = clock_state(g->clock);
	bool held;

	if (doubtful(g, state, wall_ms - now_ms, day))
		g->held_until_ms = now_ms + HELD_MS;
	else if (state < g->clock_state)
		g->held_until_ms = now_ms;
	g->looked = true;
	g->clock_state = state;
	g->offset_ms = wall_ms - now_ms;
	held = now_ms < g->held_until_ms;
	if (day == g->day || (held && state == CLOCK_ADRIFT))
		return;
	if (!held)
		g->spent = 0;
	g->day = day;
	g->full = false;
	write_down(g, g->spent);
}

static int64_t ahead(const struct gate *g)
{
	int64_t part = g->opts->day_bytes / GATE_AHEAD;

	return part < LEAST_AHEAD ? LEAST_AHEAD : part;
}

bool gate_fits(struct gate *g, size_t bytes)
{
	if (g->opts->day_bytes == 0 || g->spent + (int64_t)bytes <= g->opts->day_bytes)
		return true;
	g->full = true;
	return false;
}

void gate_spend(struct gate *g, size_t bytes)
{
	if (g->opts->day_bytes == 0)
		return;
	g->spent += (int64_t)bytes;
	if (g->spent > g->marked)
		write_down(g, g->spent + ahead(g));
}

void gate_unspend(struct gate *g, size_t bytes)
{
	if (g->opts->day_bytes > 0)
		g->spent -= (int64_t)bytes;
}

/* --- looking ------------------------------------------------------------------------------------------------------- */

bool gate_limits(const struct bridge_opts *opts)
{
	return opts->schedule || opts->day_bytes > 0;
}

bool gate_exempts(const struct bridge_opts *opts, int class)
{
	return gate_limits(opts) && (opts->exempt >> class & 1);
}

static void look(struct gate *g, int64_t now_ms)
{
	int64_t wall_ms = clock_wall_ms(g->clock);
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (g->opts->time_zone == BRIDGE_UTC)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	g->shut = !hours_allow(g, tm.tm_hour * 60 + tm.tm_min);
	if (g->opts->day_bytes > 0)
		look_at_day(g, now_ms, wall_ms, (wall_ms / 1000 + tm.tm_gmtoff) / 86400);
	g->look_ms = now_ms + MINUTE_MS - wall_ms % MINUTE_MS;
}

bool gate_open(struct gate *g, int64_t now_ms, int64_t *due_ms)
{
	if (!gate_limits(g->opts))
		return true;
	if (now_ms >= g->look_ms)
		look(g, now_ms);
	*due_ms = g->look_ms;
	return !g->shut && !g->full;
}

int gate_init(struct gate *g, const struct bridge_opts *opts, const struct clock *clock, const struct gate_meter *meter)
{
	*g = (struct gate){
		.opts = opts, .clock = clock, .meter = *meter, .look_ms = INT64_MIN, .held_until_ms = INT64_MIN};
	g->day = meter->day;
	g->spent = g->marked = meter->bytes;
	if (opts->schedule)
		g->span_count = gate_parse(opts->schedule, g->spans);
	return g->span_count < 0 ? g->span_count : 0;
}

void gate_fini(struct gate *g)
{
	if (g->opts && g->opts->day_bytes > 0 && g->marked != g->spent)
		write_down(g, g->spent);
}
