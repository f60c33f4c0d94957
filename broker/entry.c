/* SPDX-License-Identifier: MIT */
/* An entry is its kind, numbers of fixed width (big endian), the lengths of what follows, and the bytes themselves. */
#include "broker/entry.h"

#include "base/topic.h"
#include "base/utf8.h"
#include "broker/props.h"
#include "broker/subs.h"
#include "broker/window.h"

#include <string.h>

/* Later than any clock will show, and far from where sums overflow. */
#define LATEST_MS    ((int64_t)1 << 50)
#define STORED_FLAGS (DELIVERY_QOS | DELIVERY_RETAIN | DELIVERY_SHARED | DELIVERY_REPLAY)

/* --- to bytes ----------------------------------------------------------------------------------------------- */

struct writer {
	uint8_t *at;
	struct entry_bytes *out;
};

static void u8(struct writer *w, uint8_t v)
{
	*w->at++ = v;
}

static void u16(struct writer *w, uint16_t v)
{
	u8(w, (uint8_t)(v >> 8));
	u8(w, (uint8_t)v);
}

static void u32(struct writer *w, uint32_t v)
{
	u16(w, (uint16_t)(v >> 16));
	u16(w, (uint16_t)v);
}

static void u64(struct writer *w, uint64_t v)
{
	u32(w, (uint32_t)(v >> 32));
	u32(w, (uint32_t)v);
}

static void part(struct writer *w, struct span s)
{
	if (s.len > 0)
		w->out->parts[w->out->count++] = s;
}

static void put_clock(struct writer *w, const struct entry *e)
{
	u64(w, (uint64_t)e->at_ms);
	u64(w, (uint64_t)e->wall_ms);
}

static void put_session(struct writer *w, const struct entry *e)
{
	part(w, e->name);
}

static void put_state(struct writer *w, const struct entry *e)
{
	u64(w, e->session);
	u8(w, e->version);
	u32(w, e->seconds);
	u64(w, (uint64_t)e->at_ms);
	part(w, e->name);
}

static void put_message(struct writer *w, const struct entry *e)
{
	u8(w, (uint8_t)(e->qos | (e->retain ? 4 : 0) | e->class << 4));
	u32(w, e->expiry_s);
	u64(w, (uint64_t)e->at_ms);
	u64(w, (uint64_t)e->wall_ms);
	u16(w, (uint16_t)e->topic.len);
	u32(w, (uint32_t)e->props.len);
	part(w, e->topic);
	part(w, e->props);
	part(w, e->payload);
}

static void put_will(struct writer *w, const struct entry *e)
{
	u64(w, e->session);
	u32(w, e->seconds);
	put_message(w, e);
}

static void put_owed(struct writer *w, const struct entry *e)
{
	u64(w, e->before);
	u8(w, e->flags);
	put_message(w, e);
}

static void put_sub(struct writer *w, const struct entry *e)
{
	u64(w, e->session);
	u32(w, e->opts);
	u16(w, (uint16_t)e->group.len);
	part(w, e->group);
	part(w, e->filter);
}

static void put_delivery(struct writer *w, const struct entry *e)
{
	u64(w, e->session);
	u64(w, e->message);
	u64(w, e->before);
	u64(w, e->share);
	u16(w, e->id);
	u8(w, e->flags & STORED_FLAGS);
	u8(w, e->state);
	part(w, e->ids);
}

static void put_direct(struct writer *w, const struct entry *e)
{
	u64(w, e->session);
	u16(w, e->id);
	u8(w, e->flags & STORED_FLAGS);
	if (e->flags & DELIVERY_SHARED)
		u64(w, e->share);
	else
		u32(w, e->ids.len > 0 ? entry_id(e, 0) : 0);
	put_message(w, e);
}

static void put_received(struct writer *w, const struct entry *e)
{
	u64(w, e->session);
	u16(w, e->id);
	u8(w, e->flags);
}

static void put_source(struct writer *w, const struct entry *e)
{
	u64(w, e->epoch);
	u64(w, e->last);
	part(w, e->name);
}

/* The name goes into the head: longer ones are cut by who makes the entry. */
static void put_order(struct writer *w, const struct entry *e)
{
	u32(w, (uint32_t)e->epoch);
	u64(w, e->last);
	u8(w, (uint8_t)e->name.len);
	memcpy(w->at, e->name.at, e->name.len);
	w->at += e->name.len;
	put_message(w, e);
}

/* --- from bytes --------------------------------------------------------------------------------------------- */

static uint64_t read_u64(struct cursor *c)
{
	uint64_t high = cursor_u32(c);

	return high << 32 | cursor_u32(c);
}

static bool read_time(struct cursor *c, int64_t *out)
{
	uint64_t v = read_u64(c);

	*out = (int64_t)v;
	return v <= (uint64_t)LATEST_MS;
}

static struct span rest(struct cursor *c)
{
	return cursor_span(c, cursor_left(c));
}

static bool get_clock(struct cursor *c, struct entry *e)
{
	return read_time(c, &e->at_ms) && read_time(c, &e->wall_ms);
}

static bool get_session(struct cursor *c, struct entry *e)
{
	e->name = rest(c);
	return e->name.len > 0 && e->name.len <= UINT16_MAX && utf8_ok(e->name.at, e->name.len);
}

static bool get_state(struct cursor *c, struct entry *e)
{
	bool in_time;

	e->session = read_u64(c);
	e->version = cursor_u8(c);
	e->seconds = cursor_u32(c);
	in_time = read_time(c, &e->at_ms);
	e->name = rest(c);
	return in_time && e->version >= MQTT_31 && e->version <= MQTT_5 && e->name.len <= UINT16_MAX &&
	       !memchr(e->name.at, '\0', e->name.len);
}

/* They are sent on as they stand. */
static bool props_fine(struct span raw)
{
	struct props props;

	return raw.len == 0 || props_read(raw, PKT_PUBLISH, &props) == 0;
}

static bool get_message(struct cursor *c, struct entry *e)
{
	uint8_t flags = cursor_u8(c);
	size_t topic_len, props_len;
	bool in_time;

	e->qos = flags & 3;
	e->retain = flags & 4;
	e->class = flags >> 4;
	e->expiry_s = cursor_u32(c);
	in_time = read_time(c, &e->at_ms);
	e->wall_ms = (int64_t)read_u64(c);
	topic_len = cursor_u16(c);
	props_len = cursor_u32(c);
	e->topic = cursor_span(c, topic_len);
	e->props = cursor_span(c, props_len);
	e->payload = rest(c);
	return in_time && cursor_ok(c) && e->qos <= 2 && e->class <= MSG_ALARM && e->payload.len <= MAX_VARINT &&
	       topic_check_name((const char *)e->topic.at, e->topic.len) == TOPIC_OK && props_fine(e->props);
}

static bool get_will(struct cursor *c, struct entry *e)
{
	e->session = read_u64(c);
	e->seconds = cursor_u32(c);
	return get_message(c, e);
}

static bool get_owed(struct cursor *c, struct entry *e)
{
	e->before = read_u64(c);
	e->flags = cursor_u8(c);
	return e->before != 0 && (e->flags & ~ENTRY_PLACED) == 0 && get_message(c, e);
}

static bool get_sub(struct cursor *c, struct entry *e)
{
	e->session = read_u64(c);
	e->opts = cursor_u32(c);
	e->group = cursor_span16(c);
	e->filter = rest(c);
	return cursor_ok(c) && (e->opts & SUB_QOS) <= 2 && utf8_ok(e->group.at, e->group.len) &&
	       !memchr(e->group.at, '/', e->group.len) &&
	       topic_check_filter((const char *)e->filter.at, e->filter.len) == TOPIC_OK;
}

static bool get_delivery(struct cursor *c, struct entry *e)
{
	e->session = read_u64(c);
	e->message = read_u64(c);
	e->before = read_u64(c);
	e->share = read_u64(c);
	e->id = cursor_u16(c);
	e->flags = cursor_u8(c);
	e->state = cursor_u8(c);
	e->ids = rest(c);
	e->id_count = (uint32_t)(e->ids.len / 4);
	if (!cursor_ok(c) || e->ids.len % 4 != 0 || e->flags & ~STORED_FLAGS)
		return false;
	if (e->state == DELIVERY_RELEASED)
		return e->message == 0 && e->id != 0 && (e->flags & DELIVERY_QOS) == 2;
	return e->state == DELIVERY_SENT && e->message != 0 && (e->flags & DELIVERY_QOS) - 1u <= 1u;
}

static bool get_direct(struct cursor *c, struct entry *e)
{
	e->session = read_u64(c);
	e->id = cursor_u16(c);
	e->flags = cursor_u8(c);
	e->state = DELIVERY_SENT;
	if (e->flags & DELIVERY_SHARED) {
		e->share = read_u64(c);
	} else {
		e->ids = cursor_span(c, 4);
		e->id_count = cursor_ok(c) && entry_id(e, 0) != 0;
	}
	return !(e->flags & ~STORED_FLAGS) && (e->flags & DELIVERY_QOS) == 1 && get_message(c, e);
}

static bool get_received(struct cursor *c, struct entry *e)
{
	e->session = read_u64(c);
	e->id = cursor_u16(c);
	e->flags = cursor_u8(c);
	return e->id != 0;
}

static bool get_source(struct cursor *c, struct entry *e)
{
	e->epoch = read_u64(c);
	e->last = read_u64(c);
	e->name = rest(c);
	return cursor_ok(c) && e->name.len > 0 && e->name.len <= UINT16_MAX && utf8_ok(e->name.at, e->name.len) &&
	       !memchr(e->name.at, '\0', e->name.len);
}

static bool get_order(struct cursor *c, struct entry *e)
{
	e->epoch = cursor_u32(c);
	e->last = read_u64(c);
	e->name = cursor_span(c, cursor_u8(c));
	return cursor_ok(c) && e->last <= (uint64_t)LATEST_MS && e->name.len < ENTRY_ORDER_NAME &&
	       utf8_ok(e->name.at, e->name.len) && !memchr(e->name.at, '\0', e->name.len) && get_message(c, e);
}

/* --- the kinds ---------------------------------------------------------------------------------------------- */

static const struct kind {
	void (*put)(struct writer *w, const struct entry *e);
	bool (*get)(struct cursor *c, struct entry *e);
} kinds[] = {
	[ENTRY_CLOCK] = {put_clock, get_clock},
	[ENTRY_SESSION] = {put_session, get_session},
	[ENTRY_STATE] = {put_state, get_state},
	[ENTRY_WILL] = {put_will, get_will},
	[ENTRY_SUB] = {put_sub, get_sub},
	[ENTRY_MESSAGE] = {put_message, get_message},
	[ENTRY_DELIVERY] = {put_delivery, get_delivery},
	[ENTRY_RECEIVED] = {put_received, get_received},
	[ENTRY_RETAINED] = {put_message, get_message},
	[ENTRY_SOURCE] = {put_source, get_source},
	[ENTRY_OWED] = {put_owed, get_owed},
	[ENTRY_DIRECT] = {put_direct, get_direct},
	[ENTRY_ORDER] = {put_order, get_order},
};

void entry_encode(struct entry_bytes *out, const struct entry *e)
{
	struct writer w = {out->head, out};

	out->count = 1;
	u8(&w, e->kind);
	kinds[e->kind].put(&w, e);
	out->parts[0] = (struct span){out->head, (size_t)(w.at - out->head)};
}

int entry_decode(struct entry *out, struct span bytes)
{
	struct cursor c = cursor_on(bytes.at, bytes.len);
	uint8_t kind = cursor_u8(&c);

	*out = (struct entry){.kind = kind};
	if (!cursor_ok(&c))
		return ENTRY_BAD;
	if (kind >= sizeof(kinds) / sizeof(kinds[0]) || !kinds[kind].get)
		return ENTRY_UNKNOWN;
	return kinds[kind].get(&c, out) && cursor_done(&c) ? 0 : ENTRY_BAD;
}

void entry_put_id(uint8_t out[4], uint32_t id)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(id >> (24 - 8 * i));
}

uint32_t entry_id(const struct entry *e, uint32_t i)
{
	struct cursor c = cursor_on(e->ids.at + (size_t)4 * i, 4);

	return cursor_u32(&c);
}

/* --- messages ----------------------------------------------------------------------------------------------- */

void entry_of_msg(struct entry *e, const struct msg *m, int64_t to)
{
	int64_t at_ms = m->taken_ms + to;

	e->topic = (struct span){m->bytes, m->topic_len};
	e->props = (struct span){msg_props(m), m->props_len};
	e->payload = (struct span){msg_payload(m), m->payload_len};
	e->expiry_s = m->expiry_s;
	e->at_ms = at_ms > 0 ? at_ms : 0;
	e->wall_ms = m->wall_ms;
	e->qos = m->qos;
	e->class = m->class;
	e->retain = m->retain;
}

struct msg *entry_msg(const struct entry *e, int64_t to)
{
	return msg_new(&(struct msg_spec){
		.topic = e->topic.at,
		.topic_len = (uint32_t)e->topic.len,
		.props = e->props.at,
		.props_len = (uint32_t)e->props.len,
		.payload = e->payload.at,
		.payload_len = (uint32_t)e->payload.len,
		.qos = e->qos,
		.retain = e->retain,
		.class = e->class,
		.origin = MSG_FROM_GATEWAY,
		.expiry_s = e->expiry_s,
		.taken_ms = e->at_ms - to,
		.wall_ms = e->wall_ms,
	});
}
