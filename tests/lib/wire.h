/* SPDX-License-Identifier: MIT */
/* wire.h - MQTT 3.1.1 and 5 on the wire, for the test programs: written apart from the gateway's own code, so that a
 * mistake there is not repeated here.
 */
#ifndef LIB_WIRE_H
#define LIB_WIRE_H

#include "base/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_type {
	CONNECT = 1,
	CONNACK,
	PUBLISH,
	PUBACK,
	PUBREC,
	PUBREL,
	PUBCOMP,
	SUBSCRIBE,
	SUBACK,
	UNSUBSCRIBE,
	UNSUBACK,
	PINGREQ,
	PINGRESP,
	DISCONNECT,
	AUTH
};

/* A growing buffer. Out of memory ends the program: it is a test program. */
struct bytes {
	uint8_t *at;
	size_t len, cap;
};

void bytes_raw(struct bytes *b, const void *from, size_t len);
void bytes_u8(struct bytes *b, unsigned v);
void bytes_u16(struct bytes *b, unsigned v);
void bytes_u32(struct bytes *b, uint32_t v);
void bytes_varint(struct bytes *b, size_t v);
void bytes_string(struct bytes *b, const char *s);
void bytes_drop(struct bytes *b, size_t len); /* from the front */
void bytes_free(struct bytes *b);

/* One whole packet at the start of a buffer. */
struct packet {
	enum wire_type type;
	uint8_t flags;
	struct cursor body;
	size_t total;
};
int wire_packet(const uint8_t *bytes, size_t len, struct packet *out); /* 1, 0: not all here, -EPROTO */

/* Properties that the tests look at. */
struct props {
	bool has_receive_maximum;
	uint16_t receive_maximum;
	uint32_t session_expiry;
	struct span seq; /* the user property of that name */
	bool late;       /* a user property "historical" or "late" */
};
void wire_props(struct cursor *c, struct props *out);

struct publish {
	struct span topic, payload;
	struct props props;
	uint8_t qos;
	bool dup, retain;
	uint16_t id;
};
int wire_publish(const struct packet *p, int version, struct publish *out); /* 0 or -EPROTO */

struct connect {
	int version; /* 4 or 5 */
	bool clean, has_will, will_retain;
	uint8_t will_qos;
	uint16_t keepalive;
	struct span client, will_topic, will_payload, user, password;
	struct props props;
};
int wire_connect(const struct packet *p, struct connect *out); /* 0 or -EPROTO */

/* Packets that are an id and a reason: PUBACK, PUBREC, PUBREL, PUBCOMP. */
void wire_ack(struct bytes *b, enum wire_type type, uint16_t id, int version, uint8_t reason);
void wire_connack(struct bytes *b, int version, bool present, uint8_t reason, uint16_t receive_maximum,
	uint32_t maximum_packet); /* 0: not told */
void wire_make_connect(struct bytes *b, int version, const char *client, bool clean, uint16_t keepalive);
void wire_make_publish(struct bytes *b, int version, const char *topic, const void *payload, size_t len, uint8_t qos,
	bool dup, bool retain, uint16_t id);
void wire_make_subscribe(struct bytes *b, int version, const char *filter, uint8_t qos, uint16_t id);
void wire_empty(struct bytes *b, enum wire_type type); /* PINGREQ, PINGRESP, DISCONNECT */
void wire_disconnect(struct bytes *b, int version, uint8_t reason);

#endif
