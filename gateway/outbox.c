/* SPDX-License-Identifier: MIT */
#include "gateway/outbox.h"

#include "base/log.h"

#include <stddef.h>
#include <string.h>

enum { RETRY_MS = 50 };

static void remove_at(struct outbox *o, size_t i)
{
	msg_unref(o->waiting[i]);
	o->count--;
	memmove(&o->waiting[i], &o->waiting[i + 1], (o->count - i) * sizeof(o->waiting[0]));
}

static void flush(struct outbox *o)
{
	while (o->count > 0) {
		int r = lane_publish(o->lane, o->waiting[0]);

		if (r == ROUTE_BUSY) {
			loop_arm(o->loop, &o->retry, loop_now_ms(o->loop) + RETRY_MS);
			return;
		}
		if (r < 0)
			log_error("topic=%s error=\"%s\"; not published", msg_topic(o->waiting[0]), strerror(-r));
		remove_at(o, 0);
	}
}

static void retry_now(struct loop_timer *t)
{
	flush((struct outbox *)(void *)((char *)t - offsetof(struct outbox, retry)));
}

void outbox_init(struct outbox *o, struct loop *loop, struct lane *lane)
{
	*o = (struct outbox){.loop = loop, .lane = lane, .retry.run = retry_now};
}

void outbox_fini(struct outbox *o)
{
	if (!o->loop)
		return;
	loop_disarm(o->loop, &o->retry);
	while (o->count > 0)
		remove_at(o, o->count - 1);
}

/* The first may be half-way through the lane: it stays. */
static void drop_older_state(struct outbox *o, const struct msg *m)
{
	for (size_t i = 1; m->retain && i < o->count; i++)
		if (strcmp(msg_topic(o->waiting[i]), msg_topic(m)) == 0) {
			remove_at(o, i);
			return;
		}
}

void outbox_post_take(struct outbox *o, struct msg *m)
{
	if (!m) {
		log_error("error=\"no memory for a message of the gateway\"; it is not published");
		return;
	}
	drop_older_state(o, m);
	if (o->count == OUTBOX_MAX) {
		remove_at(o, 1);
		o->dropped++;
	}
	o->waiting[o->count++] = m;
	flush(o);
}

bool outbox_empty(const struct outbox *o)
{
	return o->count == 0;
}

struct outbox_mark outbox_mark(const struct outbox *o)
{
	return (struct outbox_mark){.dropped = o->dropped};
}

/* Nothing tells one message from another here: when all have left, so has this one. */
enum outbox_fate outbox_fate(struct outbox *o, struct outbox_mark *m)
{
	if (!m->left && m->dropped != o->dropped)
		return OUTBOX_LOST;
	if (!m->left && o->count > 0)
		return OUTBOX_WAITS;
	if (!m->left)
		m->ticket = lane_ticket(o->lane);
	m->left = true;
	return lane_safe(o->lane, m->ticket) ? OUTBOX_SAFE : OUTBOX_WAITS;
}
