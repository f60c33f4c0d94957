/* SPDX-License-Identifier: MIT */
/* encode.h - packets to bytes, into the caller's buffer. Pure. */
#ifndef BROKER_ENCODE_H
#define BROKER_ENCODE_H

#include "base/cursor.h"
#include "broker/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENCODE_ANSWER_MAX = 5, ENCODE_CONNACK_MAX = 512, ENCODE_WORDS_MAX = 16000, ENCODE_WORDS_ROOM = 16 };

/* PUBACK, PUBREC, PUBREL, PUBCOMP; the reason is sent only to v5 and only when it is not 0. Bytes written. */
size_t encode_answer(uint8_t out[ENCODE_ANSWER_MAX], uint8_t type, uint16_t id, uint8_t reason, bool v5);

/* The same with a reason string of at most ENCODE_WORDS_MAX bytes, for v5; out has room for ENCODE_WORDS_ROOM more. */
size_t encode_refusal(uint8_t *out, uint8_t type, uint16_t id, uint8_t reason, struct span words);

struct connack {
	uint8_t code; /* of the client's version */
	bool v5, session_present;
	struct span words; /* v5, a refusal: the reason string; at most 250 bytes */
	/* v5 and no refusal; what is at its default is not sent */
	uint32_t session_expiry_s;
	bool send_session_expiry;
	uint16_t receive_maximum;     /* 65535: not sent */
	uint8_t maximum_qos;          /* 2: not sent */
	bool retain_available;        /* true: not sent */
	uint32_t maximum_packet_size; /* 0: not sent */
	uint16_t topic_alias_maximum; /* 0: not sent */
	int32_t server_keep_alive_s;  /* -1: not sent */
	const char *assigned_id;      /* NULL: not sent; at most 64 bytes */
	const char *response_info;    /* NULL: not sent; at most 128 bytes */
};
size_t encode_connack(uint8_t out[ENCODE_CONNACK_MAX], const struct connack *a);

struct publish_head {
	bool v5, retain, dup;
	uint8_t qos;
	uint16_t id;
	struct span topic;
	uint16_t alias;      /* 0: none */
	uint32_t expiry_s;   /* UINT32_MAX: none */
	struct span props;   /* as they stand on the wire */
	const uint32_t *ids; /* subscription identifiers */
	size_t id_count;
	size_t payload_len;
};
/* Everything up to the payload. out has room for encode_publish_room() bytes. 0: the packet would be larger than
 * MQTT can say. */
size_t encode_publish_room(const struct publish_head *h);
size_t encode_publish_head(uint8_t *out, const struct publish_head *h);

/* Fixed header, packet id and, for v5, properties of SUBACK and UNSUBACK; codes follow. At most ENCODE_WORDS_ROOM and the
 * words. */
size_t encode_suback_head(uint8_t *out, uint8_t type, uint16_t id, size_t codes, bool v5, struct span words);

/* v5; out has room for ENCODE_WORDS_ROOM more than the words. */
size_t encode_disconnect(uint8_t *out, uint8_t reason, struct span words);

#endif
