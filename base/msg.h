/* SPDX-License-Identifier: MIT */
/* msg.h - one message: made once, never changed, shared by broker, store and bridge.
 *
 * Owner     whoever holds a reference; references may be taken and dropped on any thread.
 * Memory    one block: header, topic, properties, payload.
 *
 * Properties are the MQTT 5 properties of the PUBLISH as they stand on the wire, in their order and without the
 * length in front, less those that belong to one hop or to the header here: topic alias, subscription identifiers,
 * message expiry.
 */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is evicted first when the store nears its bound, and sent last: the lower. */
enum msg_class { MSG_BULK, MSG_TELEMETRY, MSG_EVENT, MSG_ALARM };

/* What the store found out about one that it kept. */
enum msg_mark {
	MSG_UNSYNCED = 1,  /* wall_ms is of a clock that was not right yet */
	MSG_RESTAMPED = 2, /* wall_ms was put right when the clock was; a time in the payload was not */
	MSG_THINNED = 4,   /* others of its topic between this one and its neighbours were dropped */
};

enum msg_origin { MSG_FROM_GATEWAY, MSG_FROM_LINE, MSG_FROM_CLIENT, MSG_FROM_BRIDGE };

#define MSG_NEVER_EXPIRES UINT32_MAX

/* What a message is made of; all is copied. */
struct msg_spec {
	const void *topic;
	const void *props;
	const void *payload;
	uint32_t topic_len, props_len, payload_len;
	uint8_t qos;
	uint8_t marks; /* enum msg_mark, or-ed */
	bool retain;
	enum msg_class class;
	enum msg_origin origin;
	uint32_t origin_id; /* which line, client or upstream; for loops and for `weir why` */
	uint32_t expiry_s;  /* from taken_ms on; MSG_NEVER_EXPIRES */
	int64_t taken_ms;   /* monotonic: when weir got it */
	int64_t wall_ms;    /* when it came to be, by its source */
	uint64_t once;      /* not 0: the store remembers with the record that this was taken, until it is released */
};

struct msg {
	atomic_uint refs;
	uint32_t topic_len, props_len, payload_len;
	uint32_t origin_id;
	uint32_t expiry_s;
	int64_t taken_ms;
	int64_t wall_ms;
	uint64_t once;
	uint8_t qos;
	uint8_t retain;
	uint8_t class;
	uint8_t origin;
	uint8_t marks;
	uint8_t bytes[]; /* topic, NUL, properties, payload */
};

struct msg *msg_new(const struct msg_spec *spec); /* NULL: no memory; one reference */
void msg_unref(struct msg *m);                    /* NULL is fine */
/* All that m says, for one that differs in something; its bytes are m's. */
struct msg_spec msg_spec_of(const struct msg *m);

static inline struct msg *msg_ref(struct msg *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return m;
}

static inline const char *msg_topic(const struct msg *m) /* terminated */
{
	return (const char *)m->bytes;
}

static inline const uint8_t *msg_props(const struct msg *m)
{
	return m->bytes + m->topic_len + 1;
}

static inline const uint8_t *msg_payload(const struct msg *m)
{
	return m->bytes + m->topic_len + 1 + m->props_len;
}

static inline size_t msg_bytes(const struct msg *m) /* what it costs in memory */
{
	return sizeof(*m) + m->topic_len + 1 + m->props_len + m->payload_len;
}

#endif
