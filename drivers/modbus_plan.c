/* SPDX-License-Identifier: MIT */
/* The plan of a Modbus line while it runs: it begins with a guess at the turnaround and what was learned before the
 * last stop, and is made anew for a device that turns out to be quicker, slower or pickier, where that changes it. */
#include "base/log.h"
#include "drivers/memory.h"
#include "drivers/modbus_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	EXCEPTION_ADDRESS = 2,
	EXCEPTION_VALUE = 3,
	DRIFT_US = 500,      /* a turnaround that differs by less, or by less than a quarter, makes no other plan */
	LEAST_GAIN = 50,     /* a fiftieth of the round: for less a plan is not changed */
	STALE_US = 10000000, /* so long the file may say something else */
};

/* --- what was learned, from one start to the next -------------------------------------------------------------- */

static struct learned *gather(const struct modbus *m)
{
	struct learned *list = calloc(m->opts->device_count + 1, sizeof(*list));

	for (size_t i = 0; list && i < m->opts->device_count; i++)
		list[i] = m->devices[i].learned;
	return list;
}

static void remember(struct modbus *m)
{
	struct learned *list;
	int r;

	m->stale_us = 0;
	if (!m->opts->memory)
		return;
	list = gather(m);
	r = list ? memory_write(m->opts, list) : -ENOMEM;
	free(list);
	if (r < 0)
		log_warn("line=%s file=%s error=\"%s\"; what its devices taught is learned again after a restart",
			m->opts->head.name, m->opts->memory, strerror(-r));
}

void modbus_keep(struct modbus *m)
{
	if (m->stale_us)
		remember(m);
}

static size_t count_lessons(const struct learned *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->count; i++)
		n += lesson_counts(&l->lessons[i]);
	return n;
}

static int recall(struct modbus *m)
{
	struct learned *list = calloc(m->opts->device_count + 1, sizeof(*list));
	size_t passed;

	if (!list)
		return -ENOMEM;
	memory_read(m->opts, list, &passed);
	for (size_t i = 0; i < m->opts->device_count; i++) {
		m->devices[i].learned = list[i];
		m->devices[i].remembered = list[i].count;
	}
	if (passed > 0)
		log_info("line=%s file=%s passed_over=%zu: of other devices, or nothing of ours", m->opts->head.name,
			m->opts->memory, passed);
	free(list);
	return 0;
}

/* --- plans ----------------------------------------------------------------------------------------------------- */

/* Of a device that gave few replies since the start, what it took before, or else what its neighbours take. */
static int64_t turnaround_us(const struct modbus *m, size_t device)
{
	const struct modbus_device *d = &m->devices[device];

	if (d->spent.measured >= PACE_FEW)
		return d->spent.usual_us;
	if (d->learned.takes_us > 0)
		return d->learned.takes_us;
	return m->spent.measured >= PACE_FEW ? m->spent.usual_us : BLOCKS_GUESS_US;
}

static size_t count_points(const struct line_opts *opts)
{
	size_t n = 0;

	for (size_t i = 0; i < opts->device_count; i++)
		n += opts->devices[i]->points.count;
	return n;
}

int modbus_plan(struct modbus *m)
{
	int r;

	m->devices = calloc(m->opts->device_count + 1, sizeof(*m->devices));
	if (!m->devices)
		return -ENOMEM;
	r = recall(m);
	if (r == 0)
		r = schedule_reserve(m->schedule, count_points(m->opts));
	for (size_t i = 0; r == 0 && i < m->opts->device_count; i++) {
		m->devices[i].planned_us = turnaround_us(m, i);
		r = blocks_plan(&m->blocks, m->opts, i, m->devices[i].planned_us, &m->devices[i].learned);
	}
	for (size_t i = 0; r == 0 && i < m->blocks.count; i++)
		r = schedule_add(m->schedule, m->blocks.list[i].device, i, 1000 * m->blocks.list[i].every_ms);
	return r;
}

/* From the end of the request to the end of the reply, less what the plan says that the wire takes of it. */
static int64_t spent_us(const struct modbus *m, const struct block *b, const struct exchange *x)
{
	struct plan_cost cost = blocks_cost(m->opts, b->source, 0);
	double wire_us = plan_block_us(&cost, b->count) - cost.request_chars * cost.char_us - cost.silence_us;
	int64_t us = x->done_us - x->sent_us - (int64_t)wire_us;

	return us > 0 ? us : 0;
}

static bool differs(int64_t us, int64_t before_us)
{
	int64_t by_us = llabs(us - before_us);

	return by_us > DRIFT_US && by_us > before_us / 4;
}

/* For the next start, and for `weir check --plan`. All devices of a line show their pace in its first rounds: they are
 * written down together. */
static void note_pace(struct modbus *m, size_t device, int64_t now_us)
{
	struct modbus_device *d = &m->devices[device];

	if (d->spent.measured >= PACE_FEW &&
		(d->learned.takes_us == 0 || differs(d->spent.usual_us, d->learned.takes_us))) {
		d->learned.takes_us = d->spent.usual_us > 0 ? d->spent.usual_us : 1;
		m->stale_us = m->stale_us ? m->stale_us : now_us;
	}
	if (m->stale_us && now_us - m->stale_us > STALE_US)
		remember(m);
}

/* It tells of its device, and of others that are not known better than by their neighbours. */
void modbus_measured(struct modbus *m, const struct block *b, const struct exchange *x)
{
	int64_t us = spent_us(m, b, x);

	pace_learn(&m->devices[b->device].spent, us);
	pace_learn(&m->spent, us);
	note_pace(m, b->device, x->done_us);
	for (size_t i = 0; i < m->opts->device_count; i++)
		if (differs(turnaround_us(m, i), m->devices[i].planned_us))
			m->devices[i].replan = m->replan = true;
}

/* When the first job of this rate was due: its values go on in their rhythm. */
static int64_t due_of(const struct schedule *s, size_t device, int64_t period_us)
{
	int64_t due_us = INT64_MAX;

	for (size_t i = 0; i < s->count; i++)
		if (s->jobs[i].device == device && s->jobs[i].period_us == period_us && s->jobs[i].due_us < due_us)
			due_us = s->jobs[i].due_us;
	return due_us;
}

/* There is room for a job per point, and a block has a point at least: none can be refused. */
static void replace_jobs(struct modbus *m, size_t device, const int64_t *due_us)
{
	size_t first = 0;

	while (first < m->blocks.count && m->blocks.list[first].device != device)
		first++;
	schedule_drop(m->schedule, device);
	for (size_t i = first; i < m->blocks.count; i++)
		if (schedule_add(m->schedule, device, i, 1000 * m->blocks.list[i].every_ms) == 0)
			m->schedule->jobs[m->schedule->count - 1].due_us = due_us[i - first];
}

/* Blocks of others keep their order, and move up by what stood before them. */
static int put_in_place(struct modbus *m, size_t device, struct blocks *fresh)
{
	int64_t *due_us = calloc(fresh->count + 1, sizeof(*due_us));
	size_t *moved = calloc(m->blocks.count + 1, sizeof(*moved));
	int r = due_us && moved ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < fresh->count; i++)
		due_us[i] = due_of(m->schedule, device, 1000 * fresh->list[i].every_ms);
	for (size_t i = 0; r == 0 && i < m->blocks.count; i++)
		moved[i + 1] = moved[i] + (m->blocks.list[i].device == device);
	if (r == 0)
		r = blocks_replace(&m->blocks, device, fresh);
	for (size_t i = 0; r == 0 && i < m->schedule->count; i++)
		if (m->schedule->jobs[i].device != device)
			m->schedule->jobs[i].what -= moved[m->schedule->jobs[i].what];
	if (r == 0)
		replace_jobs(m, device, due_us);
	free(due_us);
	free(moved);
	return r;
}

static int replan(struct modbus *m, size_t device)
{
	struct modbus_device *d = &m->devices[device];
	struct blocks fresh = {0};
	int64_t us = turnaround_us(m, device);
	int r = blocks_plan(&fresh, m->opts, device, us, &d->learned);
	double before_us = blocks_span_us(&m->blocks, m->opts, device, us);
	double round_us = blocks_span_us(&fresh, m->opts, device, us);

	if (r == 0 && !blocks_same(&fresh, &m->blocks, device) &&
		(d->taught || before_us - round_us > before_us / LEAST_GAIN)) {
		log_info("device=%s line=%s plan=new answers_in_ms=%.1f round_ms=%.1f before_ms=%.1f",
			m->opts->devices[device]->head.name, m->opts->head.name, (double)us / 1000, round_us / 1000,
			before_us / 1000);
		r = put_in_place(m, device, &fresh);
	}
	blocks_fini(&fresh);
	d->planned_us = us;
	d->replan = d->taught = false;
	return r;
}

/* Not while a refused block is being cut, which would begin again. Without memory for another plan the line goes on
 * with the one it has. */
void modbus_tend(void *self)
{
	struct modbus *m = self;

	if (!m->replan)
		return;
	m->replan = false;
	for (size_t i = 0; i < m->opts->device_count; i++)
		if (m->devices[i].replan && m->devices[i].learned.cut_count > 0)
			m->replan = true;
		else if (m->devices[i].replan && replan(m, i) < 0)
			log_warn("device=%s error=\"no memory\"; its plan stays", m->opts->devices[i]->head.name);
}

/* --- lessons --------------------------------------------------------------------------------------------------- */

/* What it costs: a round by the best plan that the lessons allow, against one that knew none. */
static void tell_lesson(const struct modbus *m, size_t device)
{
	const struct learned *known = &m->devices[device].learned;
	int64_t us = turnaround_us(m, device);
	struct blocks with = {0}, without = {0};
	char text[96];

	if (known->count == 0 || !lesson_counts(&known->lessons[known->count - 1]))
		return;
	lesson_text(text, sizeof(text), &known->lessons[known->count - 1]);
	if (blocks_plan(&with, m->opts, device, us, known) == 0 &&
		blocks_plan(&without, m->opts, device, us, NULL) == 0)
		log_info("device=%s line=%s learned=\"%s\" lessons=%zu cost_ms=%.1f of each round",
			m->opts->devices[device]->head.name, m->opts->head.name, text, known->count,
			(blocks_span_us(&with, m->opts, device, us) - blocks_span_us(&without, m->opts, device, us)) /
				1000);
	blocks_fini(&with);
	blocks_fini(&without);
}

static void taught(struct modbus *m, size_t device)
{
	struct modbus_device *d = &m->devices[device];
	size_t count = count_lessons(&d->learned);

	d->taught = d->replan = m->replan = true;
	if (count == d->remembered)
		return; /* taught once only */
	d->remembered = count;
	tell_lesson(m, device);
	remember(m);
}

void modbus_answered(struct modbus *m, const struct block *b)
{
	struct learned *l = &m->devices[b->device].learned;

	if ((l->count > 0 || l->cut_count > 0) &&
		learned_answered(l, b->source, b->first, (uint16_t)(b->first + b->count - 1)))
		taught(m, b->device);
}

/* BLOCKS_WHOLE: it is one value. */
static int cut(struct modbus *m, const struct job *j)
{
	struct learned_cut cut = {.exception = m->reply.exception};
	const struct block *left = &m->blocks.list[j->what], *right;
	int r;

	cut.source = left->source;
	cut.first = left->first;
	cut.last = (uint16_t)(left->first + left->count - 1);
	r = m->schedule->count < m->schedule->cap ? blocks_split(&m->blocks, j->what) : BLOCKS_WHOLE;
	if (r != 0)
		return r;
	left = &m->blocks.list[j->what];
	right = &m->blocks.list[m->blocks.count - 1];
	cut.left_last = (uint16_t)(left->first + left->count - 1);
	cut.right_first = right->first;
	learned_cut(&m->devices[j->device].learned, &cut);
	log_info("device=%s line=%s block=\"%s %u-%u\" refused by exception %u; now read as two",
		m->opts->devices[j->device]->head.name, m->opts->head.name, source_name(cut.source), cut.first,
		cut.last, cut.exception);
	r = schedule_add(m->schedule, j->device, m->blocks.count - 1, j->period_us);
	if (r == 0)
		m->schedule->jobs[m->schedule->count - 1].due_us = j->due_us;
	return r;
}

/* One address that does not exist makes a device refuse the block around it. So it is cut, and cut again, until only
 * the value that is at fault is refused; upon exceptions alone, for a device that is slow would be asked ever more. */
bool modbus_refused(struct modbus *m, const struct job *j)
{
	const struct block *b;
	int r;

	if (m->reply.exception != EXCEPTION_ADDRESS && m->reply.exception != EXCEPTION_VALUE)
		return false;
	r = cut(m, j);
	b = &m->blocks.list[j->what];
	if (r == 0)
		line_ask_again(m->line); /* what it would have told need not wait for the next turn */
	if (r == BLOCKS_WHOLE && learned_refused(&m->devices[b->device].learned, b->source, b->first,
					 (uint16_t)(b->first + b->count - 1)))
		taught(m, b->device);
	return r == 0;
}
