/* SPDX-License-Identifier: MIT */
#include "broker/will.h"

#include "broker/core.h"
#include "broker/ours.h"
#include "broker/page.h"
#include "broker/ration.h"

#include <errno.h>
#include <stdlib.h>

#define OWN_PROPS ((uint64_t)1 << PROP_WILL_DELAY | (uint64_t)1 << PROP_MESSAGE_EXPIRY)

int will_new(struct will **out, struct broker *b, const struct connect *c)
{
	uint8_t *props = broker_scratch(b, SCRATCH_PROPS, c->will_props.raw.len);
	struct msg *m;

	*out = NULL;
	if (!c->will)
		return 0;
	if (!props)
		return -ENOMEM;
	m = msg_new(&(struct msg_spec){
		.topic = c->will_topic.at,
		.topic_len = (uint32_t)c->will_topic.len,
		.props = props,
		.props_len = (uint32_t)props_strip(c->will_props.raw, OWN_PROPS, props),
		.payload = c->will_payload.at,
		.payload_len = (uint32_t)c->will_payload.len,
		.qos = c->will_qos,
		.retain = c->will_retain,
		.class = MSG_EVENT,
		.origin = MSG_FROM_CLIENT,
		.expiry_s = decode_expiry(&c->will_props),
	});
	return m ? will_of_take(out, b, m, props_num(&c->will_props, PROP_WILL_DELAY, 0)) : -ENOMEM;
}

int will_of_take(struct will **out, struct broker *b, struct msg *m, uint32_t delay_s)
{
	struct will *w = calloc(1, sizeof(*w));

	if (!w) {
		msg_unref(m);
		return -ENOMEM;
	}
	*w = (struct will){.broker = b, .msg = m, .delay_s = delay_s};
	ration_take(b, msg_bytes(m));
	*out = w;
	return 0;
}

size_t will_bytes(const struct connect *m)
{
	return m->will ? sizeof(struct msg) + 1 + m->will_topic.len + m->will_props.raw.len + m->will_payload.len : 0;
}

void will_free(struct will *w)
{
	if (!w)
		return;
	ration_give(w->broker, msg_bytes(w->msg));
	msg_unref(w->msg);
	free(w);
}

/* It was asked at CONNECT, but a right may be gone since then. */
static bool may_write(const struct session *s, const struct msg *m)
{
	struct acl_who who = rights_who(s);

	if (acl_may(s->broker->acl, &who, BROKER_WRITE, msg_topic(m), m->topic_len, NULL))
		return true;
	rights_refused(
		s->broker, s->conn, &who, BROKER_WRITE, (struct span){(const uint8_t *)msg_topic(m), m->topic_len});
	return false;
}

/* Its expiry counts from now on, so it is made anew with the time of today. */
static struct msg *of_today(const struct session *s)
{
	struct msg_spec spec = msg_spec_of(s->will->msg);

	spec.origin_id = s->index;
	spec.taken_ms = broker_now_ms(s->broker);
	spec.wall_ms = clock_wall_ms(s->broker->clock);
	spec.once = owed_key(s->broker, page_will_number(s));
	return msg_new(&spec);
}

void will_publish(struct session *s)
{
	struct broker *b = s->broker;
	bool may = !b->acl || may_write(s, s->will->msg);
	struct msg *m = may ? of_today(s) : NULL;

	if (m)
		ours_publish_will(b, m, page_will_due(s, m));
	else if (may)
		b->stats.publish_dropped++;
	msg_unref(m);
	will_free(s->will);
	s->will = NULL;
	page_will(s); /* where it was not to be, or could not */
}
