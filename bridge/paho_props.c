/* SPDX-License-Identifier: MIT */
#include "bridge/paho_props.h"

#include "base/cursor.h"
#include "bridge/hops.h"

#include <string.h>

void paho_props_reference(const MQTTProperties *props, char *out, size_t cap)
{
	out[0] = 0;
	for (int i = 0; i < props->count; i++) {
		const MQTTLenString *text = &props->array[i].value.data;

		if (props->array[i].identifier != MQTTPROPERTY_CODE_SERVER_REFERENCE || text->len <= 0 ||
			(size_t)text->len >= cap || memchr(text->data, '\0', (size_t)text->len))
			continue;
		memcpy(out, text->data, (size_t)text->len);
		out[text->len] = 0;
	}
}

void paho_props_learn(struct uplink_limits *l, const MQTTProperties *props)
{
	for (int i = 0; i < props->count; i++) {
		const MQTTProperty *p = &props->array[i];

		switch ((int)p->identifier) {
		case MQTTPROPERTY_CODE_RECEIVE_MAXIMUM: l->receive_max = (uint16_t)p->value.integer2; break;
		case MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE: l->keep_alive_s = (uint16_t)p->value.integer2; break;
		case MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE: l->max_packet = p->value.integer4; break;
		case MQTTPROPERTY_CODE_MAXIMUM_QOS: l->max_qos = p->value.byte; break;
		case MQTTPROPERTY_CODE_RETAIN_AVAILABLE: l->no_retain = p->value.byte == 0; break;
		default: break;
		}
	}
}

/* Bytes on the wire; 0: it does not go on with a message. */
static size_t size_of(const MQTTProperty *p)
{
	switch ((int)p->identifier) {
	case MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR: return 2;
	case MQTTPROPERTY_CODE_CONTENT_TYPE:
	case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
	case MQTTPROPERTY_CODE_CORRELATION_DATA: return 3 + (size_t)p->value.data.len;
	case MQTTPROPERTY_CODE_USER_PROPERTY: return 5 + (size_t)p->value.data.len + (size_t)p->value.value.len;
	default: return 0;
	}
}

static bool is_hop(const MQTTProperty *p)
{
	return p->identifier == MQTTPROPERTY_CODE_USER_PROPERTY &&
	       hops_is(p->value.data.data, (size_t)p->value.data.len);
}

static uint8_t *put_string(uint8_t *at, const MQTTLenString *s)
{
	*at++ = (uint8_t)(s->len >> 8);
	*at++ = (uint8_t)s->len;
	if (s->len > 0)
		memcpy(at, s->data, (size_t)s->len);
	return at + s->len;
}

static uint8_t *put_prop(uint8_t *at, const MQTTProperty *p)
{
	*at++ = (uint8_t)p->identifier;
	if (p->identifier == MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR) {
		*at++ = p->value.byte;
		return at;
	}
	at = put_string(at, &p->value.data);
	return p->identifier == MQTTPROPERTY_CODE_USER_PROPERTY ? put_string(at, &p->value.value) : at;
}

/* The gateways that it passed stand behind all others, and are what ends a ring: their room is kept. */
size_t paho_props_write(const MQTTProperties *props, uint8_t *out, size_t cap, uint32_t *expiry_s)
{
	uint8_t *at = out;
	size_t kept = 0;
	bool full = false;

	for (int i = 0; i < props->count; i++)
		kept += is_hop(&props->array[i]) ? size_of(&props->array[i]) : 0;
	for (int i = 0; i < props->count; i++) {
		const MQTTProperty *p = &props->array[i];
		size_t size = size_of(p), left = cap - (size_t)(at - out);
		bool hop = is_hop(p);

		if (p->identifier == MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL)
			*expiry_s = p->value.integer4;
		kept -= hop ? size : 0;
		full = full || (!hop && size + kept > left);
		if (size > 0 && size <= left && (hop || !full))
			at = put_prop(at, p);
	}
	return (size_t)(at - out);
}

static MQTTProperty *next_prop(MQTTProperties *out, int code)
{
	MQTTProperty *prop;

	if (out->count == out->max_count)
		return NULL;
	prop = &out->array[out->count++];
	prop->identifier = (enum MQTTPropertyCodes)code;
	return prop;
}

static MQTTLenString len_string(struct span s)
{
	return (MQTTLenString){(int)s.len, (char *)(uintptr_t)s.at};
}

/* false: it is no property of a PUBLISH that goes on, or cut short. */
static bool read_prop(struct cursor *c, MQTTProperty *prop)
{
	uint32_t code = cursor_varint(c);

	prop->identifier = (enum MQTTPropertyCodes)code;
	switch (code) {
	case MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR: prop->value.byte = cursor_u8(c); break;
	case MQTTPROPERTY_CODE_CONTENT_TYPE:
	case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
	case MQTTPROPERTY_CODE_CORRELATION_DATA: prop->value.data = len_string(cursor_span16(c)); break;
	case MQTTPROPERTY_CODE_USER_PROPERTY:
		prop->value.data = len_string(cursor_span16(c));
		prop->value.value = len_string(cursor_span16(c));
		break;
	default: return false;
	}
	return cursor_ok(c);
}

/* The message's own, from the wire, but for what there is no room for; `kept` of it is for gateways that it passed. */
static void own_props(MQTTProperties *out, const struct parcel *parcel, size_t kept)
{
	struct cursor c = cursor_on(parcel->props, parcel->props_len);
	MQTTProperty prop = {0};

	while (cursor_left(&c) > 0 && read_prop(&c, &prop)) {
		bool hop = is_hop(&prop);

		kept -= hop && kept > 0;
		if ((size_t)out->count + (hop ? 0 : kept) < (size_t)out->max_count)
			out->array[out->count++] = prop;
	}
}

void paho_props_fill(MQTTProperties *out, MQTTProperty *room, const struct parcel *parcel)
{
	MQTTProperty *prop;

	*out = (MQTTProperties){.array = room, .max_count = PAHO_PROPS_MAX};
	for (size_t i = 0; i < parcel->note_count; i++) {
		const struct parcel_note *n = &parcel->notes[i];

		prop = next_prop(out, MQTTPROPERTY_CODE_USER_PROPERTY);
		prop->value.data = len_string((struct span){(const uint8_t *)n->name, n->name_len});
		prop->value.value = len_string((struct span){(const uint8_t *)n->value, n->value_len});
	}
	if (parcel->expiry_s != MSG_NEVER_EXPIRES) {
		prop = next_prop(out, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL);
		prop->value.integer4 = parcel->expiry_s;
	}
	own_props(out, parcel, hops_count(parcel->props, parcel->props_len) + (parcel->hop ? 1 : 0));
	/* Behind those of the gateways before us. */
	prop = parcel->hop ? next_prop(out, MQTTPROPERTY_CODE_USER_PROPERTY) : NULL;
	if (prop) {
		prop->value.data = len_string((struct span){(const uint8_t *)HOPS_NAME, sizeof(HOPS_NAME) - 1});
		prop->value.value = len_string((struct span){(const uint8_t *)parcel->hop, strlen(parcel->hop)});
	}
}
