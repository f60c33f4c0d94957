/* SPDX-License-Identifier: MIT */
#include "broker/encode.h"

#include "broker/props.h"

#include <string.h>

static uint8_t *put_u16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
	return put_u16(put_u16(p, v >> 16), v & 0xffff);
}

static uint8_t *put_varint(uint8_t *p, size_t v)
{
	do {
		*p++ = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v > 0);
	return p;
}

static size_t varint_len(size_t v)
{
	return v < 128 ? 1 : v < 16384 ? 2 : v < 2097152 ? 3 : 4;
}

static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(p, bytes, len);
	return p + len;
}

static uint8_t *put_text(uint8_t *p, const void *text, size_t len)
{
	return put_bytes(put_u16(p, (uint32_t)len), text, len);
}

/* Length of the properties, and the reason string as the only one. */
static size_t words_len(struct span words)
{
	return words.len > 0 ? 3 + words.len : 0;
}

static uint8_t *put_words(uint8_t *p, struct span words)
{
	p = put_varint(p, words_len(words));
	if (words.len == 0)
		return p;
	*p++ = PROP_REASON_STRING;
	return put_text(p, words.at, words.len);
}

size_t encode_refusal(uint8_t *out, uint8_t type, uint16_t id, uint8_t reason, struct span words)
{
	uint8_t *p = out;

	*p++ = (uint8_t)(type << 4);
	p = put_varint(p, 3 + varint_len(words_len(words)) + words_len(words));
	p = put_u16(p, id);
	*p++ = reason;
	return (size_t)(put_words(p, words) - out);
}

size_t encode_answer(uint8_t out[ENCODE_ANSWER_MAX], uint8_t type, uint16_t id, uint8_t reason, bool v5)
{
	bool long_form = v5 && reason != RC_OK;

	out[0] = (uint8_t)(type << 4 | (type == PKT_PUBREL ? 2 : 0));
	out[1] = long_form ? 3 : 2;
	put_u16(out + 2, id);
	if (!long_form)
		return 4;
	out[4] = reason;
	return 5;
}

/* --- CONNACK ------------------------------------------------------------------------------------------------ */

static uint8_t *prop_byte(uint8_t *p, enum prop id, uint8_t v)
{
	*p++ = (uint8_t)id;
	*p++ = v;
	return p;
}

static uint8_t *prop_u16(uint8_t *p, enum prop id, uint32_t v)
{
	*p++ = (uint8_t)id;
	return put_u16(p, v);
}

static uint8_t *prop_u32(uint8_t *p, enum prop id, uint32_t v)
{
	*p++ = (uint8_t)id;
	return put_u32(p, v);
}

static uint8_t *prop_text(uint8_t *p, enum prop id, const char *text)
{
	*p++ = (uint8_t)id;
	return put_text(p, text, strlen(text));
}

static size_t connack_props(uint8_t *out, const struct connack *a)
{
	uint8_t *p = out;

	if (a->code != RC_OK) {
		if (a->words.len > 0) {
			*p++ = PROP_REASON_STRING;
			p = put_text(p, a->words.at, a->words.len);
		}
		return (size_t)(p - out);
	}
	if (a->send_session_expiry)
		p = prop_u32(p, PROP_SESSION_EXPIRY, a->session_expiry_s);
	if (a->receive_maximum != UINT16_MAX)
		p = prop_u16(p, PROP_RECEIVE_MAXIMUM, a->receive_maximum);
	if (a->maximum_qos < 2)
		p = prop_byte(p, PROP_MAXIMUM_QOS, a->maximum_qos);
	if (!a->retain_available)
		p = prop_byte(p, PROP_RETAIN_AVAILABLE, 0);
	if (a->maximum_packet_size > 0)
		p = prop_u32(p, PROP_MAXIMUM_PACKET_SIZE, a->maximum_packet_size);
	if (a->topic_alias_maximum > 0)
		p = prop_u16(p, PROP_TOPIC_ALIAS_MAXIMUM, a->topic_alias_maximum);
	if (a->server_keep_alive_s >= 0)
		p = prop_u16(p, PROP_SERVER_KEEP_ALIVE, (uint32_t)a->server_keep_alive_s);
	if (a->assigned_id)
		p = prop_text(p, PROP_ASSIGNED_CLIENT_ID, a->assigned_id);
	if (a->response_info)
		p = prop_text(p, PROP_RESPONSE_INFO, a->response_info);
	return (size_t)(p - out);
}

size_t encode_connack(uint8_t out[ENCODE_CONNACK_MAX], const struct connack *a)
{
	uint8_t props[ENCODE_CONNACK_MAX - 8], *p = out;
	size_t n = a->v5 ? connack_props(props, a) : 0;

	*p++ = PKT_CONNACK << 4;
	p = put_varint(p, 2 + (a->v5 ? varint_len(n) + n : 0));
	*p++ = a->session_present;
	*p++ = a->code;
	if (a->v5)
		p = put_bytes(put_varint(p, n), props, n);
	return (size_t)(p - out);
}

/* --- PUBLISH ------------------------------------------------------------------------------------------------ */

static size_t publish_props_len(const struct publish_head *h)
{
	size_t n = h->props.len + (h->expiry_s != UINT32_MAX ? 5 : 0) + (h->alias > 0 ? 3 : 0);

	for (size_t i = 0; i < h->id_count; i++)
		n += 1 + varint_len(h->ids[i]);
	return n;
}

size_t encode_publish_room(const struct publish_head *h)
{
	return 5 + 2 + h->topic.len + 2 + 4 + h->props.len + 5 + 3 + 5 * h->id_count;
}

size_t encode_publish_head(uint8_t *out, const struct publish_head *h)
{
	size_t props = h->v5 ? publish_props_len(h) : 0;
	size_t rest =
		2 + h->topic.len + (h->qos > 0 ? 2u : 0u) + (h->v5 ? varint_len(props) + props : 0) + h->payload_len;
	uint8_t *p = out;

	if (rest > MAX_VARINT)
		return 0;
	*p++ = (uint8_t)(PKT_PUBLISH << 4 | (h->dup ? 8 : 0) | h->qos << 1 | (h->retain ? 1 : 0));
	p = put_varint(p, rest);
	p = put_text(p, h->topic.at, h->topic.len);
	if (h->qos > 0)
		p = put_u16(p, h->id);
	if (!h->v5)
		return (size_t)(p - out);
	p = put_varint(p, props);
	p = put_bytes(p, h->props.at, h->props.len);
	if (h->expiry_s != UINT32_MAX)
		p = prop_u32(p, PROP_MESSAGE_EXPIRY, h->expiry_s);
	if (h->alias > 0)
		p = prop_u16(p, PROP_TOPIC_ALIAS, h->alias);
	for (size_t i = 0; i < h->id_count; i++) {
		*p++ = PROP_SUBSCRIPTION_ID;
		p = put_varint(p, h->ids[i]);
	}
	return (size_t)(p - out);
}

size_t encode_suback_head(uint8_t *out, uint8_t type, uint16_t id, size_t codes, bool v5, struct span words)
{
	uint8_t *p = out;

	*p++ = (uint8_t)(type << 4);
	p = put_varint(p, 2 + (v5 ? varint_len(words_len(words)) + words_len(words) : 0) + codes);
	p = put_u16(p, id);
	if (v5)
		p = put_words(p, words);
	return (size_t)(p - out);
}

size_t encode_disconnect(uint8_t *out, uint8_t reason, struct span words)
{
	uint8_t *p = out;

	*p++ = PKT_DISCONNECT << 4;
	p = put_varint(p, 1 + (words.len > 0 ? varint_len(words_len(words)) + words_len(words) : 0));
	*p++ = reason;
	if (words.len > 0)
		p = put_words(p, words);
	return (size_t)(p - out);
}
