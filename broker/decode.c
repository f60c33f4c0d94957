/* SPDX-License-Identifier: MIT */
#include "broker/decode.h"

#include "base/msg.h"
#include "base/topic.h"
#include "base/utf8.h"

#include <string.h>

int decode_frame(const uint8_t *at, size_t len, bool v5, struct frame *out)
{
	uint32_t value = 0;

	out->total = 0;
	if (len == 0)
		return FRAME_SHORT;
	out->type = at[0] >> 4;
	out->flags = at[0] & 15;
	for (uint32_t i = 1; i <= 4; i++) {
		if (i == len)
			return FRAME_SHORT;
		value |= (uint32_t)(at[i] & 0x7f) << (7 * (i - 1));
		if (at[i] & 0x80)
			continue;
		if (v5 && i > 1 && at[i] == 0) /* [MQTT-1.5.5-1] */
			return FRAME_BAD;
		out->head = i + 1;
		out->total = i + 1 + value;
		return out->total > len ? FRAME_SHORT : 0;
	}
	return FRAME_BAD;
}

bool decode_flags_ok(uint8_t type, uint8_t flags, uint8_t version)
{
	static const uint8_t wanted[PKT_TYPES + 1] = {
		[PKT_PUBREL] = 2,
		[PKT_SUBSCRIBE] = 2,
		[PKT_UNSUBSCRIBE] = 2,
	};

	uint8_t fixed = version == MQTT_31 ? 6 : 15; /* what is sent again has DUP in 3.1 */

	return type == PKT_PUBLISH || wanted[type] == (flags & fixed); /* [MQTT-2.1.3-1] */
}

/* --- CONNECT ------------------------------------------------------------------------------------------------ */

enum {
	FLAG_RESERVED = 0x01,
	FLAG_CLEAN = 0x02,
	FLAG_WILL = 0x04,
	FLAG_WILL_RETAIN = 0x20,
	FLAG_PASSWORD = 0x40,
	FLAG_USER = 0x80,
};

static bool name_is(struct span name, const char *text)
{
	return name.len == strlen(text) && memcmp(name.at, text, name.len) == 0;
}

static int protocol(struct cursor *c, struct connect *out)
{
	struct span name = cursor_span16(c);
	bool old = name_is(name, "MQIsdp");

	out->version = cursor_u8(c);
	if (!cursor_ok(c))
		return RC_MALFORMED;
	if (!old && !name_is(name, "MQTT")) /* [MQTT-3.1.2-1] */
		return RC_BAD_VERSION;
	if (old ? out->version != MQTT_31 : out->version != MQTT_311 && out->version != MQTT_5)
		return RC_BAD_VERSION;
	return 0;
}

static int connect_flags(uint8_t flags, struct connect *out)
{
	out->clean = flags & FLAG_CLEAN;
	out->will = flags & FLAG_WILL;
	out->will_qos = flags >> 3 & 3;
	out->will_retain = flags & FLAG_WILL_RETAIN;
	out->has_user = flags & FLAG_USER;
	out->has_password = flags & FLAG_PASSWORD;
	if (flags & FLAG_RESERVED) /* [MQTT-3.1.2-3] */
		return RC_MALFORMED;
	if (out->will_qos > 2 || (!out->will && (out->will_qos > 0 || out->will_retain)))
		return RC_MALFORMED;
	if (out->version != MQTT_5 && out->has_password && !out->has_user) /* 3.1.1 [MQTT-3.1.2-22] */
		return RC_MALFORMED;
	return 0;
}

static int connect_will(struct cursor *c, struct connect *out)
{
	int r;

	if (!out->will)
		return 0;
	if (out->version == MQTT_5) {
		r = props_decode(c, PKT_WILL, &out->will_props);
		if (r != 0)
			return r;
	}
	out->will_topic = cursor_span16(c);
	out->will_payload = cursor_span16(c);
	if (!cursor_ok(c))
		return RC_MALFORMED;
	r = decode_topic(out->will_topic);
	if (r == 0 && props_has(&out->will_props, PROP_RESPONSE_TOPIC))
		r = decode_topic(out->will_props.text[PROP_RESPONSE_TOPIC]);
	return r;
}

int decode_connect(struct span body, struct connect *out)
{
	struct cursor c = cursor_on(body.at, body.len);
	int r;

	out->props.have = out->will_props.have = 0;
	out->props.raw = out->will_props.raw = (struct span){body.at, 0};
	r = protocol(&c, out);
	if (r == 0)
		r = connect_flags(cursor_u8(&c), out);
	if (r != 0)
		return r;
	out->keep_alive_s = cursor_u16(&c);
	if (out->version == MQTT_5)
		r = props_decode(&c, PKT_CONNECT, &out->props);
	if (r != 0)
		return r;
	out->client_id = cursor_span16(&c);
	if (!cursor_ok(&c) || !utf8_ok(out->client_id.at, out->client_id.len))
		return RC_MALFORMED;
	r = connect_will(&c, out);
	if (r != 0)
		return r;
	out->user = out->has_user ? cursor_span16(&c) : (struct span){body.at, 0};
	out->password = out->has_password ? cursor_span16(&c) : (struct span){body.at, 0};
	if (!cursor_done(&c) || !utf8_ok(out->user.at, out->user.len))
		return RC_MALFORMED;
	if (props_has(&out->props, PROP_AUTH_DATA) && !props_has(&out->props, PROP_AUTH_METHOD))
		return RC_PROTOCOL;
	return 0;
}

/* --- PUBLISH ------------------------------------------------------------------------------------------------ */

int decode_topic(struct span topic)
{
	switch (topic_check_name((const char *)topic.at, topic.len)) {
	case TOPIC_OK: return 0;
	case TOPIC_BAD_UTF8: return RC_MALFORMED;
	default: return RC_BAD_TOPIC;
	}
}

uint32_t decode_expiry(const struct props *p)
{
	uint32_t s = props_num(p, PROP_MESSAGE_EXPIRY, MSG_NEVER_EXPIRES);

	return props_has(p, PROP_MESSAGE_EXPIRY) && s == MSG_NEVER_EXPIRES ? s - 1 : s;
}

static int publish_props(struct cursor *c, struct publish *out)
{
	struct props p;
	int r = props_decode(c, PKT_PUBLISH, &p);

	if (r != 0)
		return r;
	if (props_has(&p, PROP_SUBSCRIPTION_ID)) /* [MQTT-3.3.4-6] */
		return RC_PROTOCOL;
	if (props_has(&p, PROP_RESPONSE_TOPIC) && decode_topic(p.text[PROP_RESPONSE_TOPIC]) != 0)
		return RC_PROTOCOL; /* [MQTT-3.3.2-14] */
	out->have = p.have;
	out->props = p.raw;
	out->expiry_s = decode_expiry(&p);
	out->alias = props_num(&p, PROP_TOPIC_ALIAS, 0);
	out->format = props_num(&p, PROP_PAYLOAD_FORMAT, 0);
	return 0;
}

int decode_publish(uint8_t flags, struct span body, uint8_t version, struct publish *out)
{
	struct cursor c = cursor_on(body.at, body.len);
	int r = 0;

	out->dup = flags & 8;
	out->qos = flags >> 1 & 3;
	out->retain = flags & 1;
	out->have = 0;
	out->expiry_s = UINT32_MAX;
	out->alias = out->format = 0;
	out->topic_checked = false;
	if (out->qos > 2 || (out->qos == 0 && out->dup)) /* [MQTT-3.3.1-2, 3.3.1-4] */
		return RC_MALFORMED;
	out->topic = cursor_span16(&c);
	out->id = out->qos > 0 ? cursor_u16(&c) : 0;
	if (!cursor_ok(&c))
		return RC_MALFORMED;
	if (out->qos > 0 && out->id == 0) /* [MQTT-2.2.1-3] */
		return RC_PROTOCOL;
	out->props = (struct span){c.at, 0};
	if (version == MQTT_5 && cursor_left(&c) > 0 && *c.at == 0)
		c.at++; /* no properties: the usual case */
	else if (version == MQTT_5)
		r = publish_props(&c, out);
	out->payload = cursor_span(&c, cursor_left(&c));
	if (r == 0 && out->topic.len == 0 && !(out->have >> PROP_TOPIC_ALIAS & 1))
		r = version == MQTT_5 ? RC_PROTOCOL : RC_BAD_TOPIC;
	return r;
}

/* --- acknowledgements --------------------------------------------------------------------------------------- */

static bool reason_allowed(uint8_t type, uint8_t reason)
{
	if (type == PKT_PUBREL || type == PKT_PUBCOMP) /* 3.6.2.1, 3.7.2.1 */
		return reason == RC_OK || reason == RC_ID_NOT_FOUND;
	switch (reason) { /* 3.4.2.1, 3.5.2.1 */
	case RC_OK:
	case RC_NO_SUBSCRIBERS:
	case RC_UNSPECIFIED:
	case RC_SPECIFIC:
	case RC_NOT_AUTHORIZED:
	case RC_BAD_TOPIC:
	case RC_ID_IN_USE:
	case RC_QUOTA:
	case RC_BAD_PAYLOAD: return true;
	default: return false;
	}
}

int decode_answer(uint8_t type, struct span body, uint8_t version, struct answer *out)
{
	struct cursor c = cursor_on(body.at, body.len);

	out->id = cursor_u16(&c);
	out->reason = RC_OK;
	if (!cursor_ok(&c))
		return RC_MALFORMED;
	if (version == MQTT_5 && cursor_left(&c) > 0) {
		out->reason = cursor_u8(&c);
		if (!reason_allowed(type, out->reason))
			return RC_MALFORMED;
		if (cursor_left(&c) > 0) {
			struct props p;
			int r = props_decode(&c, type, &p);

			if (r != 0)
				return r;
		}
	}
	if (!cursor_done(&c))
		return RC_MALFORMED;
	return out->id == 0 ? RC_PROTOCOL : 0;
}

/* --- SUBSCRIBE, UNSUBSCRIBE --------------------------------------------------------------------------------- */

/* `$share/name/filter` [MQTT-4.8.2-1, -2]. */
static void split_share(struct filter *f)
{
	static const char prefix[] = "$share/";
	const size_t skip = sizeof(prefix) - 1;
	struct span s = f->filter;
	const uint8_t *slash;

	f->group = (struct span){s.at, 0};
	if (s.len < skip - 1 || memcmp(s.at, prefix, skip - 1) != 0 || (s.len >= skip && s.at[skip - 1] != '/'))
		return;
	slash = s.len > skip ? memchr(s.at + skip, '/', s.len - skip) : NULL;
	if (!slash || slash == s.at + skip || slash + 1 == s.at + s.len) {
		f->refuse = RC_BAD_FILTER;
		return;
	}
	f->group = (struct span){s.at + skip, (size_t)(slash - s.at) - skip};
	f->filter = (struct span){slash + 1, (size_t)(s.at + s.len - slash) - 1};
	if (memchr(f->group.at, '+', f->group.len) || memchr(f->group.at, '#', f->group.len))
		f->refuse = RC_BAD_FILTER;
}

bool decode_filter(struct subscribe *s, bool options, struct filter *out)
{
	uint8_t o;

	if (cursor_left(&s->filters) == 0)
		return false;
	*out = (struct filter){.filter = cursor_span16(&s->filters)};
	o = options ? cursor_u8(&s->filters) : 0;
	out->qos = o & 3;
	out->no_local = o & 4;
	out->retain_as_published = o & 8;
	out->retain_handling = o >> 4 & 3;
	split_share(out);
	if (out->refuse == 0 && topic_check_filter((const char *)out->filter.at, out->filter.len) != TOPIC_OK)
		out->refuse = RC_BAD_FILTER;
	return true;
}

static int check_filters(struct subscribe *s, uint8_t version, bool options)
{
	struct cursor start = s->filters;
	struct filter f;

	s->count = 0;
	while (decode_filter(s, options, &f)) {
		uint8_t o = options && cursor_ok(&s->filters) ? s->filters.at[-1] : 0;

		if (!cursor_ok(&s->filters) || !utf8_ok(f.filter.at, f.filter.len) || !utf8_ok(f.group.at, f.group.len))
			return RC_MALFORMED;
		if (f.qos > 2 || f.retain_handling > 2 || o >> 6 != 0 || (version != MQTT_5 && o > 2))
			return RC_MALFORMED;       /* [MQTT-3.8.3-5]; 3.1.1 [MQTT-3.8.3-4] */
		if (f.no_local && f.group.len > 0) /* [MQTT-3.8.3-4] */
			return RC_PROTOCOL;
		s->count++;
	}
	if (!cursor_ok(&s->filters))
		return RC_MALFORMED;
	s->filters = start;
	return s->count == 0 ? RC_PROTOCOL : 0; /* [MQTT-3.8.3-2, 3.10.3-2] */
}

static int decode_list(struct span body, uint8_t version, enum packet_type type, struct subscribe *out)
{
	int r = 0;

	out->filters = cursor_on(body.at, body.len);
	out->id = cursor_u16(&out->filters);
	out->subscription_id = 0;
	if (!cursor_ok(&out->filters))
		return RC_MALFORMED;
	if (version == MQTT_5) {
		struct props p;

		r = props_decode(&out->filters, type, &p);
		if (r != 0)
			return r;
		out->subscription_id = props_num(&p, PROP_SUBSCRIPTION_ID, 0);
	}
	r = check_filters(out, version, type == PKT_SUBSCRIBE);
	return r == 0 && out->id == 0 ? RC_PROTOCOL : r;
}

int decode_subscribe(struct span body, uint8_t version, struct subscribe *out)
{
	return decode_list(body, version, PKT_SUBSCRIBE, out);
}

int decode_unsubscribe(struct span body, uint8_t version, struct subscribe *out)
{
	return decode_list(body, version, PKT_UNSUBSCRIBE, out);
}

/* --- DISCONNECT, AUTH --------------------------------------------------------------------------------------- */

/* What a client may say in DISCONNECT (3.14.2.1). */
static bool farewell_allowed(uint8_t reason)
{
	switch (reason) {
	case RC_OK:
	case RC_WITH_WILL:
	case RC_UNSPECIFIED:
	case RC_MALFORMED:
	case RC_PROTOCOL:
	case RC_SPECIFIC:
	case RC_BAD_TOPIC:
	case RC_RECEIVE_MAXIMUM:
	case RC_BAD_ALIAS:
	case RC_TOO_LARGE:
	case RC_RATE_TOO_HIGH:
	case RC_QUOTA:
	case RC_ADMINISTRATIVE:
	case RC_BAD_PAYLOAD: return true;
	default: return false;
	}
}

int decode_disconnect(struct span body, uint8_t version, struct disconnect *out)
{
	struct cursor c = cursor_on(body.at, body.len);

	*out = (struct disconnect){.reason = RC_OK};
	if (version == MQTT_5 && cursor_left(&c) > 0) {
		out->reason = cursor_u8(&c);
		if (!farewell_allowed(out->reason))
			return RC_MALFORMED;
		if (cursor_left(&c) > 0) {
			struct props p;
			int r = props_decode(&c, PKT_DISCONNECT, &p);

			if (r != 0)
				return r;
			out->has_expiry = props_has(&p, PROP_SESSION_EXPIRY);
			out->expiry_s = props_num(&p, PROP_SESSION_EXPIRY, 0);
		}
	}
	return cursor_done(&c) ? 0 : RC_MALFORMED;
}

int decode_auth(struct span body)
{
	struct cursor c = cursor_on(body.at, body.len);
	struct props p;
	int r;

	if (cursor_left(&c) == 0)
		return 0;
	cursor_u8(&c);
	if (cursor_left(&c) == 0)
		return 0;
	r = props_decode(&c, PKT_AUTH, &p);
	if (r == 0 && !cursor_done(&c))
		r = RC_MALFORMED;
	return r;
}
