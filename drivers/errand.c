/* SPDX-License-Identifier: MIT */
#include "drivers/errand.h"

#include "base/log.h"
#include "drivers/date.h"
#include "drivers/encode.h"
#include "drivers/engine.h"
#include "drivers/line_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *errand_end_name(enum errand_end end)
{
	static const char *const names[] = {[ERRAND_OK] = "ok",
		[ERRAND_MISMATCH] = "mismatch",
		[ERRAND_REFUSED] = "refused",
		[ERRAND_FAILED] = "failed",
		[ERRAND_EXPIRED] = "expired",
		[ERRAND_STOPPED] = "stopped"};

	return names[end];
}

int line_submit(struct line *l, struct errand *e)
{
	struct letter letter = {.kind = (uint32_t)e->kind, .ptr = e};

	if (e->kind == ERRAND_WRITE ? !l->ops->write : !l->ops->read)
		return -ENOTSUP;
	e->posted_us = line_now_us(l);
	e->next = NULL;
	return (l->berth ? berth_post(l->berth, letter) : mailbox_post(&l->inbox, letter)) == 0 ? 0 : LINE_BUSY;
}

enum { CLOCK_RUNS_S = 2 }; /* a clock that was set has gone on when it is read back */

static void finish(struct line *l, struct errand *e, enum errand_end end, const char *reason)
{
	e->end = end;
	e->reason = reason;
	e->ended_us = line_now_us(l);
	e->done(e);
}

/* As far as the device's own resolution goes: what was asked, rounded to its registers, must be what they hold. */
static bool reads_back(const struct point_opts *p, const struct value *want, const struct value *back)
{
	double step = fabs(p->scale) / 2 * 1.000001;
	struct value w, b;

	if (!point_is_number(p) && encode_plain(p, want, &w) == 0 && encode_plain(p, back, &b) == 0 &&
		w.kind == VALUE_INT && b.kind == VALUE_INT)
		return llabs(w.i - b.i) <= (date_is(p->type) ? CLOCK_RUNS_S : 0);
	if (want->kind == VALUE_TEXT || back->kind == VALUE_TEXT)
		return want->kind == back->kind && want->text.len == back->text.len &&
		       memcmp(want->text.at, back->text.at, want->text.len) == 0;
	if (back->kind == VALUE_BOOL)
		return encode_bool(want) == back->b;
	if (p->type == TYPE_FLOAT16 || p->type == TYPE_FLOAT32 || p->type == TYPE_FLOAT64)
		step = fabs(encode_number(want)) * (p->type == TYPE_FLOAT16 ? 1e-3 : 1e-6) + 1e-30;
	if (p->decimals >= 0)
		step += pow(10, (double)-p->decimals) / 2;
	return fabs(encode_number(want) - encode_number(back)) <= step;
}

static bool is_mapped(const struct line *l, const struct errand *e)
{
	const struct key_list *points = &l->opts->devices[e->device]->points;
	const struct point_opts *first = points->items;

	return e->point >= first && e->point < first + points->count;
}

/* What is known of the point before it is written: for the audit. */
static void note_old(const struct line *l, struct errand *e)
{
	const struct point_opts *first = l->opts->devices[e->device]->points.items;
	const struct report_state *s = &l->devices[e->device].points[e->point - first];

	e->has_old = s->told && !s->bad && s->last.kind != VALUE_TEXT && s->last.kind != VALUE_NONE;
	e->old = s->last;
}

static enum errand_end end_of(enum outcome o)
{
	switch (o) {
	case OUTCOME_OK: return ERRAND_OK;
	case OUTCOME_REFUSED: return ERRAND_REFUSED;
	case OUTCOME_STOPPED: return ERRAND_STOPPED;
	default: return ERRAND_FAILED;
	}
}

/* `now` sets the clock of a device: the second in which it goes on the wire. */
static void fill_now(const struct line *l, struct errand *e)
{
	struct value *v = &e->value;

	if (!date_is(e->point->type) || v->kind != VALUE_TEXT || v->text.len != 3 || memcmp(v->text.at, "now", 3) != 0)
		return;
	v->text.len = date_text((clock_wall_ms(l->clock) + 500) / 1000, e->stamp);
	v->text.at = e->stamp;
}

/* Where a point is written somewhere else than it is read, what is read may follow later, or never. */
static bool is_read_where_written(const struct point_opts *p)
{
	return p->write_source == p->source && p->write_address == p->address;
}

static void run_write(struct line *l, struct errand *e)
{
	const char *reason = NULL;
	enum outcome o;
	int r;

	fill_now(l, e);
	r = encode_check(e->point, &e->value);

	if (!e->point->writable || r != 0) {
		finish(l, e, ERRAND_REFUSED, r != 0 ? encode_reason(r) : "not writable");
		return;
	}
	if (is_mapped(l, e))
		note_old(l, e);
	e->on_wire = true;
	if (e->begin)
		e->begin(e);
	o = l->ops->write(l->driver, e, &reason);
	line_settle(l, e->device, o, reason);
	if (o == OUTCOME_OK && e->has_back) {
		if (is_mapped(l, e))
			line_good(l, e->device, e->point, &e->back, line_now_us(l));
		if (is_read_where_written(e->point) && !reads_back(e->point, &e->value, &e->back)) {
			finish(l, e, ERRAND_MISMATCH, "reads back differently");
			return;
		}
	}
	finish(l, e, end_of(o), reason);
}

static bool somebody_is_up(const struct line *l)
{
	for (size_t i = 0; i < l->opts->device_count; i++)
		if (l->devices[i].health.state == DEVICE_UP)
			return true;
	return false;
}

static bool is_away(const struct line *l, size_t device)
{
	enum device_state state = l->devices[device].health.state;

	return state == DEVICE_OFFLINE || state == DEVICE_PROBING;
}

/* A question to a unit that is no device of the line says nothing about the health of any. */
static void run_read(struct line *l, struct errand *e)
{
	const char *reason = NULL;
	enum outcome o;

	if (e->port_as && somebody_is_up(l)) {
		finish(l, e, ERRAND_REFUSED, "devices answer on this line as it is set up");
		return;
	}
	if (e->kind == ERRAND_RELAY && e->unit < 0 && is_away(l, e->device)) {
		finish(l, e, ERRAND_FAILED, "offline");
		return;
	}
	e->on_wire = e->kind == ERRAND_RELAY; /* it may be a write */
	o = l->ops->read(l->driver, e, &reason);
	if (e->unit < 0 || o == OUTCOME_GONE)
		line_settle(l, e->device, o, reason);
	finish(l, e, end_of(o), reason);
}

static struct errand *take(struct line *l)
{
	struct errand *e = l->errands;
	struct letter letter;

	if (e) {
		l->errands = e->next;
		return e;
	}
	return !l->berth && mailbox_take(&l->inbox, &letter, 1) > 0 ? letter.ptr : NULL;
}

static void put_last(struct errand **list, struct errand *e)
{
	while (*list)
		list = &(*list)->next;
	e->next = NULL;
	*list = e;
}

/* NULL: none, or it is a poll's turn. */
static struct errand *take_relay(struct line *l)
{
	struct errand *e = l->relayed && l->port_up ? NULL : l->relays;

	if (!e)
		return NULL;
	l->relays = e->next;
	l->relayed = true;
	return e;
}

static struct errand *take_next(struct line *l)
{
	struct errand *e = take(l);

	while (e && e->kind == ERRAND_RELAY) {
		put_last(&l->relays, e);
		e = take(l);
	}
	return e ? e : take_relay(l);
}

bool line_pass_turn(struct line *l)
{
	l->relayed = false;
	return l->relays != NULL;
}

bool line_run_errand(struct line *l)
{
	/* What came before the port was opened for the first time waits for that: nothing is known to be wrong. */
	struct errand *e = l->port_up || l->port_told ? take_next(l) : NULL;
	int64_t begun_us = line_now_us(l);

	if (!e)
		return false;
	e->begun_us = begun_us;
	l->patient = true;
	if (e->expires_us > 0 && e->begun_us > e->expires_us)
		finish(l, e, ERRAND_EXPIRED, "too old");
	else if (!l->port_up)
		finish(l, e, ERRAND_FAILED, "port");
	else if (e->kind == ERRAND_WRITE)
		run_write(l, e);
	else
		run_read(l, e);
	l->patient = false;
	l->busy_us += line_now_us(l) - begun_us; /* e is its owner's again */
	return true;
}

void line_drop_errands(struct line *l)
{
	l->relayed = false;
	for (struct errand *e = take_next(l); e; e = take_next(l)) {
		l->relayed = false;
		finish(l, e, ERRAND_STOPPED, "stopped");
	}
}
