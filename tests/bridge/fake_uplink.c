/* SPDX-License-Identifier: MIT */
#include "tests/bridge/fake_uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_uplink *of(struct uplink *u)
{
	return (struct fake_uplink *)u;
}

static int dial(struct uplink *u, const struct uplink_call *call)
{
	struct fake_uplink *f = of(u);

	f->in_call = true;
	f->left = false;
	f->dials++;
	f->keep_alive_s = call->keep_alive_s;
	f->wipe = call->wipe;
	snprintf(f->address, sizeof(f->address), "%s", call->address);
	f->will[0] = 0;
	if (call->will)
		snprintf(f->will, sizeof(f->will), "%s %.*s", call->will->topic, (int)call->will->payload_len,
			(const char *)call->will->payload);
	return 0;
}

static int hold(struct uplink *u, const struct uplink_held *held)
{
	struct fake_uplink *f = of(u);
	struct fake_held *out = &f->held[f->held_count++];

	*out = (struct fake_held){.id = held->id, .released = held->released};
	if (held->released)
		return 0;
	snprintf(out->payload, sizeof(out->payload), "%.*s", (int)held->parcel->payload_len,
		(const char *)held->parcel->payload);
	for (size_t i = 0; i < held->parcel->note_count; i++)
		out->late = out->late || strcmp(held->parcel->notes[i].name, "late") == 0;
	return 0;
}

static int publish(struct uplink *u, uint32_t tag, const struct parcel *p)
{
	struct fake_uplink *f = of(u);
	struct fake_parcel *got = &f->got[f->count];

	if (f->publish_result != 0)
		return f->publish_result;
	if (f->count == FAKE_PARCELS)
		abort();
	f->count++;
	*got = (struct fake_parcel){.tag = tag, .qos = p->qos, .retain = p->retain, .record = p->seq, .sum = p->sum};
	snprintf(got->topic, sizeof(got->topic), "%s", p->topic);
	snprintf(got->payload, sizeof(got->payload), "%.*s", (int)p->payload_len, (const char *)p->payload);
	for (size_t i = 0; i < p->note_count; i++) {
		if (strcmp(p->notes[i].name, "seq") == 0)
			got->seq = strtoull(p->notes[i].value, NULL, 10);
		got->late = got->late || strcmp(p->notes[i].name, "late") == 0;
		got->again = got->again || strcmp(p->notes[i].name, "again") == 0;
	}
	return 0;
}

static int subscribe(struct uplink *u, uint32_t tag, const char *filter, int qos)
{
	struct fake_uplink *f = of(u);

	(void)qos;
	if (f->filter_count < 4)
		f->filter_tags[f->filter_count] = tag;
	if (f->filter_count < 4)
		snprintf(f->filters[f->filter_count++], sizeof(f->filters[0]), "%s", filter);
	return 0;
}

static int unsubscribe(struct uplink *u, uint32_t tag, const char *filter)
{
	struct fake_uplink *f = of(u);

	f->left_tag = tag;
	if (f->left_count < 4)
		snprintf(f->left_filters[f->left_count++], sizeof(f->left_filters[0]), "%s", filter);
	return 0;
}

static void leave(struct uplink *u)
{
	of(u)->left = true;
}

static void hang_up(struct uplink *u)
{
	of(u)->in_call = false;
	of(u)->held_count = 0;
	of(u)->hang_ups++;
}

static const struct uplink_ops ops = {hold, dial, publish, subscribe, unsubscribe, leave, hang_up};

void fake_uplink_init(struct fake_uplink *u)
{
	memset(u, 0, sizeof(*u));
	u->base.ops = &ops;
}

void fake_up(struct fake_uplink *u, const struct uplink_limits *limits)
{
	struct uplink_event e = {.kind = UPLINK_UP, .limits = {.max_qos = 2}};

	if (limits)
		e.limits = *limits;
	u->base.event(u->base.ctx, &e);
}

void fake_down(struct fake_uplink *u, uint8_t code)
{
	struct uplink_event e = {.kind = UPLINK_DOWN, .code = code, .text = code ? NULL : "the test says so"};

	u->in_call = false;
	u->held_count = 0; /* the call is over, and what it held with it */
	u->base.event(u->base.ctx, &e);
}

void fake_referred(struct fake_uplink *u, uint8_t code, const char *reference)
{
	struct uplink_event e = {.kind = UPLINK_DOWN, .code = code, .reference = reference};

	u->in_call = false;
	u->base.event(u->base.ctx, &e);
}

void fake_subscribed(struct fake_uplink *u, uint32_t tag, uint8_t code)
{
	struct uplink_event e = {.kind = UPLINK_SUBSCRIBED, .tag = tag, .code = code};

	u->base.event(u->base.ctx, &e);
}

static void answer(struct fake_uplink *u, size_t i, enum uplink_event_kind kind, uint8_t code)
{
	struct uplink_event e = {.kind = kind, .tag = u->got[i].tag, .code = code};

	u->got[i].answered = true;
	u->base.event(u->base.ctx, &e);
}

void fake_settle(struct fake_uplink *u, size_t i)
{
	answer(u, i, UPLINK_SETTLED, 0);
}

void fake_refuse(struct fake_uplink *u, size_t i, uint8_t code)
{
	answer(u, i, UPLINK_REFUSED, code);
}

void fake_resumed(struct fake_uplink *u)
{
	struct uplink_event e = {.kind = UPLINK_RESUMED};

	u->base.event(u->base.ctx, &e);
}
