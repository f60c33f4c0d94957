/* SPDX-License-Identifier: MIT */
#include "gateway/setter_parts.h"

#include "base/log.h"

static const char SET[] = "/set";

/* --- how much a line has ----------------------------------------------------------------------------------------- */

static struct load *load_of(struct setter *s, const struct line *l)
{
	for (size_t i = 0; i < s->load_count; i++)
		if (s->loads[i].line == l)
			return &s->loads[i];
	return NULL;
}

static bool is_loaded(struct setter *s, const struct line *l)
{
	const struct load *load = load_of(s, l);

	return load && load->count >= SETTER_LINE_DEPTH;
}

static void add_load(struct setter *s, struct line *l)
{
	struct load *load = load_of(s, l);

	if (!load) {
		load = &s->loads[s->load_count++];
		*load = (struct load){.line = l};
	}
	load->count++;
}

void setter_unload(struct setter *s, const struct line *l)
{
	struct load *load = load_of(s, l);

	if (--load->count == 0)
		*load = s->loads[--s->load_count];
}

/* --- on the thread of a line --------------------------------------------------------------------------------------- */

static void wake_main(struct setter *s)
{
	if (mailbox_post(s->inbox, (struct letter){.kind = s->letter_written}) != 0)
		log_debug("setter: main is busy; it looks through the slots with its next letter");
}

static void errand_begins(struct errand *e)
{
	struct slot *slot = (struct slot *)(void *)e;

	begun_writing(slot->setter->begun, place_of(slot), slot->order.number);
}

static void errand_done(struct errand *e)
{
	struct slot *slot = (struct slot *)(void *)e;
	struct setter *s = slot->setter;

	atomic_store(&slot->state, DONE);
	wake_main(s);
}

/* --- on main ------------------------------------------------------------------------------------------------------ */

int64_t setter_expires_us(const struct setter *s, const struct msg *m)
{
	return 1000 * (m->taken_ms + (m->expiry_s == MSG_NEVER_EXPIRES ? s->expiry_ms : (int64_t)m->expiry_s * 1000));
}

bool setter_find(struct setter *s, const struct order *o, struct field_target *out)
{
	return field_find(s->field, msg_topic(o->msg), o->msg->topic_len - (sizeof(SET) - 1), out);
}

static void put_on_line(struct setter *s, struct slot *slot)
{
	struct field_target t;
	struct errand *e = &slot->errand;
	int r;

	if (!setter_find(s, &slot->order, &t)) {
		setter_end(slot, ENDING_REFUSED, "the point is gone from the configuration");
		return;
	}
	slot->before = t.newest;
	e->device = t.device;
	e->point = t.point;
	slot->line = t.line;
	add_load(s, t.line);
	slot->state = ON_LINE;
	r = line_submit(t.line, e);
	if (r == 0)
		return;
	setter_unload(s, t.line);
	setter_end(slot, ENDING_REFUSED,
		r == LINE_BUSY ? "too many commands wait for this line" : "points of this driver cannot be written");
}

/* Those of clients before those of upstreams, each in their order. */
static bool goes_before(const struct slot *a, const struct slot *b)
{
	bool up = is_from_upstream(&a->order);

	return up != is_from_upstream(&b->order) ? !up : a->turn < b->turn;
}

/* NULL: nobody can go. */
static struct slot *next_for_a_line(struct setter *s)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < SETTER_MAX; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->state == WAITING && !is_loaded(s, slot->line) && (!best || goes_before(slot, best)))
			best = slot;
	}
	return best;
}

void setter_feed_lines(struct setter *s)
{
	for (struct slot *slot; (slot = next_for_a_line(s)) != NULL;)
		put_on_line(s, slot);
}

/* One of which nothing is known yet, after a start, is not given up. */
static bool is_offline(const struct field_target *t)
{
	struct line_device_stats st;

	line_device_stats(t->line, t->device, &st);
	return st.state == DEVICE_OFFLINE || st.state == DEVICE_PROBING;
}

void setter_wait(struct setter *s, struct slot *slot, const struct field_target *t, const struct value *v)
{
	struct errand *e = &slot->errand;

	if (is_loaded(s, t->line) && is_offline(t)) {
		setter_end(slot, ENDING_REFUSED, "the device does not answer, and others wait for it already");
		return;
	}
	e->kind = ERRAND_WRITE;
	e->begin = errand_begins;
	e->done = errand_done;
	e->expires_us = setter_expires_us(s, slot->order.msg);
	e->value = *v;
	slot->line = t->line;
	slot->turn = ++s->turns;
	slot->state = WAITING;
}
