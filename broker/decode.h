/* SPDX-License-Identifier: MIT */
/* decode.h - bytes to packets. Pure: nothing is kept, copied or allocated; spans point into the packet.
 *
 * Outcomes  0, or the reason code (>= 0x80) that says why the packet must not be acted upon. What a decoder let
 *           through is well-formed to the last byte.
 */
#ifndef BROKER_DECODE_H
#define BROKER_DECODE_H

#include "broker/packet.h"
#include "broker/props.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The fixed header. FRAME_SHORT: total is what the packet will need in all, 0 while that is not known. */
enum { FRAME_SHORT = 1, FRAME_BAD = 2 };
struct frame {
	uint8_t type, flags;
	uint32_t total; /* header and body */
	uint32_t head;  /* header */
};
int decode_frame(const uint8_t *at, size_t len, bool v5, struct frame *out);

/* Does this type come from a client, with these flags? PUBLISH flags are decode_publish()'s business. */
bool decode_flags_ok(uint8_t type, uint8_t flags, uint8_t version);

struct connect {
	uint8_t version; /* as sent; set as soon as it was read, whatever the outcome */
	bool clean, will, will_retain, has_user, has_password;
	uint8_t will_qos;
	uint16_t keep_alive_s;
	struct span client_id, will_topic, will_payload, user, password;
	struct props props, will_props;
};
int decode_connect(struct span body, struct connect *out);

struct publish {
	bool dup, retain;
	uint8_t qos;
	uint16_t id;
	struct span topic; /* empty with an alias */
	struct span payload;
	struct span props; /* raw; empty when the sender has none */
	uint64_t have;     /* which properties */
	uint32_t expiry_s, alias, format;
	bool topic_checked; /* false: the caller knows it (a cached route) or checks it */
};
/* Leaves the check of the topic's characters to decode_topic(), since a known topic needs none. */
int decode_publish(uint8_t flags, struct span body, uint8_t version, struct publish *out);
int decode_topic(struct span topic);
uint32_t decode_expiry(const struct props *p); /* 136 years are one second less: the highest number stands for none */

struct answer { /* PUBACK, PUBREC, PUBREL, PUBCOMP */
	uint16_t id;
	uint8_t reason;
};
int decode_answer(uint8_t type, struct span body, uint8_t version, struct answer *out);

struct subscribe { /* and UNSUBSCRIBE, without subscription_id */
	uint16_t id;
	uint32_t subscription_id; /* 0: none */
	struct cursor filters;    /* for decode_filter(); every filter in it is complete */
	size_t count;
};
struct filter {
	struct span filter; /* without `$share/group/` */
	struct span group;  /* empty: not shared */
	uint8_t qos, retain_handling;
	bool no_local, retain_as_published;
	uint8_t refuse; /* the reason code for this filter alone, or 0 */
};
int decode_subscribe(struct span body, uint8_t version, struct subscribe *out);
int decode_unsubscribe(struct span body, uint8_t version, struct subscribe *out);
/* The next of them; unsubscribe: without options. false: no more. */
bool decode_filter(struct subscribe *s, bool options, struct filter *out);

struct disconnect {
	uint8_t reason;
	bool has_expiry;
	uint32_t expiry_s;
};
int decode_disconnect(struct span body, uint8_t version, struct disconnect *out);
int decode_auth(struct span body);

#endif
