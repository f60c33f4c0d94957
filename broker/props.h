/* SPDX-License-Identifier: MIT */
/* props.h - the properties of MQTT 5: one table says what each is, where it may stand, and its bounds.
 *
 * Pure. Decoding checks everything: known, allowed in this packet, once only, in range, well-formed UTF-8.
 */
#ifndef BROKER_PROPS_H
#define BROKER_PROPS_H

#include "base/cursor.h"
#include "broker/packet.h"

#include <stdbool.h>
#include <stdint.h>

enum prop {
	PROP_PAYLOAD_FORMAT = 0x01,
	PROP_MESSAGE_EXPIRY = 0x02,
	PROP_CONTENT_TYPE = 0x03,
	PROP_RESPONSE_TOPIC = 0x08,
	PROP_CORRELATION_DATA = 0x09,
	PROP_SUBSCRIPTION_ID = 0x0b,
	PROP_SESSION_EXPIRY = 0x11,
	PROP_ASSIGNED_CLIENT_ID = 0x12,
	PROP_SERVER_KEEP_ALIVE = 0x13,
	PROP_AUTH_METHOD = 0x15,
	PROP_AUTH_DATA = 0x16,
	PROP_REQUEST_PROBLEM_INFO = 0x17,
	PROP_WILL_DELAY = 0x18,
	PROP_REQUEST_RESPONSE_INFO = 0x19,
	PROP_RESPONSE_INFO = 0x1a,
	PROP_SERVER_REFERENCE = 0x1c,
	PROP_REASON_STRING = 0x1f,
	PROP_RECEIVE_MAXIMUM = 0x21,
	PROP_TOPIC_ALIAS_MAXIMUM = 0x22,
	PROP_TOPIC_ALIAS = 0x23,
	PROP_MAXIMUM_QOS = 0x24,
	PROP_RETAIN_AVAILABLE = 0x25,
	PROP_USER_PROPERTY = 0x26,
	PROP_MAXIMUM_PACKET_SIZE = 0x27,
	PROP_WILDCARD_AVAILABLE = 0x28,
	PROP_SUBSCRIPTION_IDS_AVAILABLE = 0x29,
	PROP_SHARED_AVAILABLE = 0x2a,
	PROP_COUNT,
};

/* What stood in one property list. num[] and text[] are set only where have says so. */
struct props {
	uint64_t have; /* bit per enum prop */
	struct span raw;
	uint32_t num[PROP_COUNT];
	struct span text[PROP_COUNT];
};

static inline bool props_has(const struct props *p, enum prop id)
{
	return p->have >> id & 1;
}

static inline uint32_t props_num(const struct props *p, enum prop id, uint32_t otherwise)
{
	return props_has(p, id) ? p->num[id] : otherwise;
}

/* Reads the length and the list behind it. 0, RC_MALFORMED or RC_PROTOCOL. */
int props_decode(struct cursor *c, enum packet_type packet, struct props *out);
int props_read(struct span raw, enum packet_type packet, struct props *out); /* the list alone */

/* Copies raw without the properties in drop (bits per enum prop) to out, which has room for raw.len; bytes written.
 * raw has been through props_decode(). */
size_t props_strip(struct span raw, uint64_t drop, uint8_t *out);
/* Copies raw to out, its response topic without `off` in front, if it is there, and with `on` instead; out has room for
 * raw.len + on.len. One that would become too long stays as it is. */
size_t props_move_response(struct span raw, struct span off, struct span on, uint8_t *out);

#endif
