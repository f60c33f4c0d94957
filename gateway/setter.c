/* SPDX-License-Identifier: MIT */
/* A command lives in a slot, which holds the errand that its line runs. The line's thread marks the slot done; its
 * letter only wakes main, which looks through all slots, so a full mailbox loses none. */
#include "gateway/setter.h"

#include "base/json.h"
#include "base/log.h"
#include "drivers/errand.h"
#include "drivers/opts.h"
#include "gateway/audit.h"
#include "gateway/command.h"
#include "gateway/encode.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPIRY_MS = 30000, REASON_CAP = 160, BY_CAP = 64, REPLY_CAP = 1024, TOPIC_CAP = 512, PROPS_CAP = 256 };

static const char SET[] = "/set";

/* What a tap hands to main. */
struct order {
	struct msg *msg;
	char by[BY_CAP];
};

struct slot {
	struct errand errand; /* first: done() gets its address; the line's between line_submit() and done() */
	bool used;
	atomic_bool done;
	struct order *order;
	struct msg *before; /* what the point held; NULL: nothing yet */
	char text[COMMAND_TEXT_MAX];
};

/* Owner: main; setter_take() and errand_done() come from other threads. */
struct setter {
	struct mailbox *inbox;
	uint32_t letter_command, letter_written;
	const struct clock *clock;
	struct field *field;
	struct outbox *outbox;
	char site[TOPIC_CAP]; /* as at the start; a reload does not change it */
	struct broker *broker;
	atomic_int orders; /* in the mailbox or in a slot */
	struct slot slots[SETTER_MAX];
};

int setter_new(struct setter **out, struct mailbox *inbox, uint32_t letter_command, uint32_t letter_written,
	const struct clock *clock)
{
	struct setter *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->inbox = inbox;
	s->letter_command = letter_command;
	s->letter_written = letter_written;
	s->clock = clock;
	*out = s;
	return 0;
}

void setter_wire(struct setter *s, const struct setter_deps *deps)
{
	s->field = deps->field;
	s->outbox = deps->outbox;
	snprintf(s->site, sizeof(s->site), "%s", deps->site);
	s->broker = deps->broker;
}

static void order_free(struct setter *s, struct order *o)
{
	if (!o)
		return;
	msg_unref(o->msg);
	free(o);
	atomic_fetch_sub(&s->orders, 1);
}

void setter_free(struct setter *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < SETTER_MAX; i++) {
		order_free(s, s->slots[i].order);
		msg_unref(s->slots[i].before);
	}
	free(s);
}

/* --- on the broker's thread ------------------------------------------------------------------------------------- */

bool setter_take(void *ctx, struct msg *m)
{
	struct setter *s = ctx;
	struct order *o;

	if (atomic_fetch_add(&s->orders, 1) >= SETTER_MAX || !(o = calloc(1, sizeof(*o)))) {
		atomic_fetch_sub(&s->orders, 1);
		return false;
	}
	o->msg = msg_ref(m);
	broker_origin_name(s->broker, m, o->by, sizeof(o->by));
	if (mailbox_post(s->inbox, (struct letter){.kind = s->letter_command, .ptr = o}) == 0)
		return true;
	order_free(s, o);
	return false;
}

/* --- the answer ------------------------------------------------------------------------------------------------- */

struct answer {
	bool ok;
	const char *reason;
	const struct value *value; /* read back; NULL: none */
};

/* A message of the gateway with its topic, payload and properties still to be put in. */
static struct msg_spec draft(const struct setter *s, const char *topic, const char *payload)
{
	return (struct msg_spec){.topic = topic,
		.payload = payload,
		.qos = 1,
		.class = MSG_EVENT,
		.origin = MSG_FROM_GATEWAY,
		.expiry_s = MSG_NEVER_EXPIRES,
		.taken_ms = clock_mono_ms(s->clock),
		.wall_ms = clock_wall_ms(s->clock)};
}

/* What was too long for its room is not said at all. */
static void post(struct setter *s, struct msg_spec *spec, struct json *j)
{
	json_key(j, "t");
	json_int(j, spec->wall_ms);
	json_close(j, '}');
	spec->payload_len = (uint32_t)json_done(j);
	if (spec->topic_len < TOPIC_CAP && spec->payload_len > 0)
		outbox_post_take(s->outbox, msg_new(spec));
}

/* The response topic, else `.../set/result`. Its length. */
static uint32_t answer_topic(const struct msg *command, char *topic)
{
	struct span to;

	if (!command_property(command, 0x08, &to) || to.len >= TOPIC_CAP)
		return (uint32_t)snprintf(topic, TOPIC_CAP, "%s/result", msg_topic(command));
	memcpy(topic, to.at, to.len);
	return (uint32_t)to.len;
}

/* The correlation data, as the property it came in. Its length; 0: there was none. */
static uint32_t answer_props(const struct msg *command, uint8_t *props)
{
	struct span data;

	if (!command_property(command, 0x09, &data) || data.len + 3 > PROPS_CAP)
		return 0;
	props[0] = 0x09;
	props[1] = (uint8_t)(data.len >> 8);
	props[2] = (uint8_t)data.len;
	memcpy(props + 3, data.at, data.len);
	return (uint32_t)data.len + 3;
}

static void reply(struct setter *s, const struct msg *command, const struct answer *a)
{
	char payload[REPLY_CAP], topic[TOPIC_CAP];
	uint8_t props[PROPS_CAP];
	struct json j = json_on(payload, sizeof(payload));
	struct msg_spec spec = draft(s, topic, payload);

	json_open(&j, '{');
	json_key(&j, "ok");
	json_bool(&j, a->ok);
	if (a->value) {
		json_key(&j, "v");
		encode_value(&j, a->value);
	}
	if (a->reason) {
		json_key(&j, "reason");
		json_str(&j, a->reason);
	}
	spec.topic_len = answer_topic(command, topic);
	spec.props = props;
	spec.props_len = answer_props(command, props);
	post(s, &spec, &j);
}

static struct span payload_of(const struct msg *m)
{
	return m ? (struct span){msg_payload(m), m->payload_len} : (struct span){NULL, 0};
}

static void audit(struct setter *s, const struct order *o, const struct msg *before, const struct answer *a)
{
	const struct audit event = {.topic = msg_topic(o->msg),
		.by = o->by,
		.asked = payload_of(o->msg),
		.before = payload_of(before),
		.ok = a->ok,
		.reason = a->reason};
	struct msg *m = audit_event(s->site, &event, s->clock);

	if (m)
		outbox_post_take(s->outbox, m);
}

static void finish(struct setter *s, struct order *o, struct msg *before, const struct answer *a)
{
	reply(s, o->msg, a);
	audit(s, o, before, a);
	order_free(s, o);
	msg_unref(before);
}

static void refuse(struct setter *s, struct order *o, const char *reason)
{
	finish(s, o, NULL, &(struct answer){.reason = reason});
}

/* --- a command -------------------------------------------------------------------------------------------------- */

static bool as_real(const struct value *v, double *out)
{
	switch (v->kind) {
	case VALUE_INT: *out = (double)v->i; return true;
	case VALUE_UINT: *out = (double)v->u; return true;
	case VALUE_REAL: *out = v->r; return true;
	default: return false;
	}
}

/* NULL: it may be written. */
static const char *objection(
	const struct point_opts *p, const struct msg *m, const struct value *v, char *room, size_t cap)
{
	double real;

	if (m->retain)
		return "a retained command is not carried out: it would come again at each reconnect; send it without "
		       "retain";
	if (!p->writable)
		return "the point is not writable; its map says so with writable: true";
	if (!as_real(v, &real))
		return NULL;
	if (p->has_min && real < p->min) {
		snprintf(room, cap, "%g is below the lowest that may be written, %g", real, p->min);
		return room;
	}
	if (p->has_max && real > p->max) {
		snprintf(room, cap, "%g is above the highest that may be written, %g", real, p->max);
		return room;
	}
	return NULL;
}

static struct slot *free_slot(struct setter *s)
{
	for (size_t i = 0; i < SETTER_MAX; i++)
		if (!s->slots[i].used)
			return &s->slots[i];
	return NULL; /* cannot be: there are no more orders than slots */
}

static int64_t expires_us(const struct msg *m)
{
	return 1000 * (m->taken_ms + (m->expiry_s == MSG_NEVER_EXPIRES ? EXPIRY_MS : (int64_t)m->expiry_s * 1000));
}

/* On the line's thread. */
static void errand_done(struct errand *e)
{
	struct slot *slot = (struct slot *)(void *)e;
	struct setter *s = e->ctx;

	atomic_store(&slot->done, true);
	if (mailbox_post(s->inbox, (struct letter){.kind = s->letter_written}) != 0)
		log_debug("setter: main is busy; it looks through the slots with its next letter");
}

static void slot_free(struct slot *slot)
{
	slot->used = false;
	slot->order = NULL;
	slot->before = NULL;
}

static void put_on_line(struct setter *s, struct order *o, const struct field_target *t, const struct value *v)
{
	struct slot *slot = free_slot(s);
	struct msg *before;
	int r;

	if (!slot) {
		refuse(s, o, "too many commands at once");
		return;
	}
	slot->used = true;
	slot->order = o;
	slot->before = t->newest ? msg_ref(t->newest) : NULL;
	atomic_store(&slot->done, false);
	slot->errand = (struct errand){.kind = ERRAND_WRITE,
		.done = errand_done,
		.ctx = s,
		.expires_us = expires_us(o->msg),
		.device = t->device,
		.point = t->point,
		.value = *v};
	if (v->kind == VALUE_TEXT) {
		memcpy(slot->text, v->text.at, v->text.len);
		slot->errand.value.text.at = slot->text;
	}
	r = line_submit(t->line, &slot->errand);
	if (r == 0)
		return;
	before = slot->before;
	slot_free(slot);
	msg_unref(before);
	refuse(s, o,
		r == LINE_BUSY ? "too many commands wait for this line" : "points of this driver cannot be written");
}

void setter_command(struct setter *s, struct letter l)
{
	struct order *o = l.ptr;
	char text[COMMAND_TEXT_MAX], room[REASON_CAP];
	size_t len = o->msg->topic_len - (sizeof(SET) - 1);
	struct field_target target;
	enum command_fault fault;
	const char *reason;
	struct value v;

	if (!field_find(s->field, msg_topic(o->msg), len, &target)) {
		order_free(s, o); /* somebody else's topic that ends in /set */
		return;
	}
	fault = command_value(msg_payload(o->msg), o->msg->payload_len, text, &v);
	reason = fault == COMMAND_OK ? objection(target.point, o->msg, &v, room, sizeof(room))
				     : command_fault_text(fault);
	if (reason)
		refuse(s, o, reason);
	else
		put_on_line(s, o, &target, &v);
	msg_unref(target.newest);
}

void setter_drop(struct setter *s, struct letter l)
{
	order_free(s, l.ptr);
}

/* --- a result --------------------------------------------------------------------------------------------------- */

static void settle(struct setter *s, struct slot *slot)
{
	const struct errand *e = &slot->errand;
	struct answer a = {.ok = e->end == ERRAND_OK, .reason = e->reason};
	struct order *o = slot->order;
	struct msg *before = slot->before;

	if (e->end == ERRAND_EXPIRED)
		a.reason = "it expired before the line could write it; it was not written";
	if (e->has_back)
		a.value = &e->back;
	finish(s, o, before, &a);
	slot_free(slot);
}

void setter_sweep(struct setter *s)
{
	for (size_t i = 0; i < SETTER_MAX; i++)
		if (s->slots[i].used && atomic_load(&s->slots[i].done))
			settle(s, &s->slots[i]);
}
