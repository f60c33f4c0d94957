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

size_t paho_props_write(const MQTTProperties *props, uint8_t *out, size_t cap, uint32_t *expiry_s)
{
	uint8_t *at = out;

	for (int i = 0; i < props->count; i++) {
		const MQTTProperty *p = &props->array[i];
		const MQTTLenString *strings[2] = {&p->value.data, &p->value.value};
		int count = p->identifier == MQTTPROPERTY_CODE_USER_PROPERTY ? 2 : 1;

		switch ((int)p->identifier) {
		case MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL: *expiry_s = p->value.integer4; continue;
		case MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR:
			if (cap - (size_t)(at - out) < 2)
				return (size_t)(at - out);
			*at++ = (uint8_t)p->identifier;
			*at++ = p->value.byte;
			continue;
		case MQTTPROPERTY_CODE_CONTENT_TYPE:
		case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
		case MQTTPROPERTY_CODE_CORRELATION_DATA:
		case MQTTPROPERTY_CODE_USER_PROPERTY: break;
		default: continue;
		}
		if (cap - (size_t)(at - out) <
			5u + (size_t)strings[0]->len + (count == 2 ? (size_t)strings[1]->len : 0))
			return (size_t)(at - out);
		*at++ = (uint8_t)p->identifier;
		for (int s = 0; s < count; s++) {
			*at++ = (uint8_t)(strings[s]->len >> 8);
			*at++ = (uint8_t)strings[s]->len;
			memcpy(at, strings[s]->data, (size_t)strings[s]->len);
			at += strings[s]->len;
		}
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

/* The message's own, from the wire; stops at what is not a property of a PUBLISH that goes on. */
static void own_props(MQTTProperties *out, const struct parcel *parcel)
{
	struct cursor c = cursor_on(parcel->props, parcel->props_len);

	while (cursor_left(&c) > 0) {
		uint32_t code = cursor_varint(&c);
		MQTTProperty *prop = next_prop(out, (int)code);

		if (!prop)
			return;
		switch (code) {
		case MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR: prop->value.byte = cursor_u8(&c); break;
		case MQTTPROPERTY_CODE_CONTENT_TYPE:
		case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
		case MQTTPROPERTY_CODE_CORRELATION_DATA: prop->value.data = len_string(cursor_span16(&c)); break;
		case MQTTPROPERTY_CODE_USER_PROPERTY:
			prop->value.data = len_string(cursor_span16(&c));
			prop->value.value = len_string(cursor_span16(&c));
			break;
		default: c.bad = true; break;
		}
		if (!cursor_ok(&c)) {
			out->count--;
			return;
		}
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
	own_props(out, parcel);
	/* Behind those of the gateways before us. */
	prop = parcel->hop ? next_prop(out, MQTTPROPERTY_CODE_USER_PROPERTY) : NULL;
	if (prop) {
		prop->value.data = len_string((struct span){(const uint8_t *)HOPS_NAME, sizeof(HOPS_NAME) - 1});
		prop->value.value = len_string((struct span){(const uint8_t *)parcel->hop, strlen(parcel->hop)});
	}
}
