/* SPDX-License-Identifier: MIT */
#include "base/msg.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(at, bytes, len);
	return at + len;
}

struct msg *msg_new(const struct msg_spec *spec)
{
	size_t len = (size_t)spec->topic_len + 1 + spec->props_len + spec->payload_len;
	struct msg *m = malloc(sizeof(*m) + len);
	uint8_t *at;

	if (!m)
		return NULL;
	atomic_init(&m->refs, 1);
	m->topic_len = spec->topic_len;
	m->props_len = spec->props_len;
	m->payload_len = spec->payload_len;
	m->origin_id = spec->origin_id;
	m->expiry_s = spec->expiry_s;
	m->taken_ms = spec->taken_ms;
	m->wall_ms = spec->wall_ms;
	m->once = spec->once;
	m->qos = spec->qos;
	m->marks = spec->marks;
	m->retain = spec->retain;
	m->class = (uint8_t)spec->class;
	m->origin = (uint8_t)spec->origin;
	at = put(m->bytes, spec->topic, spec->topic_len);
	*at++ = 0;
	at = put(at, spec->props, spec->props_len);
	put(at, spec->payload, spec->payload_len);
	return m;
}

struct msg_spec msg_spec_of(const struct msg *m)
{
	return (struct msg_spec){
		.topic = msg_topic(m),
		.props = msg_props(m),
		.payload = msg_payload(m),
		.topic_len = m->topic_len,
		.props_len = m->props_len,
		.payload_len = m->payload_len,
		.qos = m->qos,
		.marks = m->marks,
		.retain = m->retain,
		.class = (enum msg_class)m->class,
		.origin = (enum msg_origin)m->origin,
		.origin_id = m->origin_id,
		.expiry_s = m->expiry_s,
		.taken_ms = m->taken_ms,
		.wall_ms = m->wall_ms,
		.once = m->once,
	};
}

void msg_unref(struct msg *m)
{
	if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
		free(m);
}
