/* SPDX-License-Identifier: MIT */
/* wire.h - what main and a bridge's process say to each other over a SOCK_SEQPACKET socketpair: one word a packet.
 *
 * Encoding and decoding are pure; both ends are the same binary, but the decoder trusts nothing all the same.
 */
#ifndef BRIDGE_WIRE_H
#define BRIDGE_WIRE_H

#include "base/cursor.h"
#include "bridge/bridge.h"

#include <stddef.h>
#include <stdint.h>

enum wire_kind {
	/* main says */
	WIRE_START = 1, /* a: acknowledged up to; b: committed up to; text: why the process was started */
	WIRE_NEWS,      /* a: committed up to */
	WIRE_TAKEN,  /* id; code 0: main has this inbound message, and it is safe; 1: not now; 2: to ASK, it has not */
	WIRE_STOP,   /* say goodbye and end */
	WIRE_PING,   /* id */
	WIRE_CONFIG, /* text: a hash of the whole configuration */
	/* the process says */
	WIRE_READY,      /* its first word */
	WIRE_ACK,        /* a: the upstream has everything up to */
	WIRE_STATE,      /* code: enum bridge_state; text */
	WIRE_QUARANTINE, /* a: seq; code: reason code; text */
	/* a: epoch, b: number, 0: none; id; code: qos, retain << 2; id2: expiry in s; text: topic; props; payload */
	WIRE_INBOUND,
	WIRE_PONG,   /* id */
	WIRE_COUNTS, /* counts */
	WIRE_ASK,    /* a: epoch, b: number; id: has main that inbound message? */
	WIRE_KINDS,
};

struct wire_word {
	enum wire_kind kind;
	uint64_t a, b;
	uint32_t id, id2;
	uint8_t code;
	struct span text, props, payload; /* point into the bytes decoded */
	struct bridge_counts counts;
};

/* Longest inbound message that fits, topic, properties and payload together. */
enum { WIRE_MAX = 160 * 1024, WIRE_MAX_INBOUND = WIRE_MAX - 64 };

size_t wire_encode(const struct wire_word *w, uint8_t *out, size_t cap); /* 0: does not fit */

enum { WIRE_BAD = 1 };
int wire_decode(struct wire_word *out, const void *bytes, size_t len);

/* An end of the pair. buf serves sending and receiving in turn: a decoded word lives until the next call. */
struct wire {
	int fd;
	uint8_t buf[WIRE_MAX];
};

enum { WIRE_FULL = 1, WIRE_EMPTY = 2, WIRE_ENDED = 3 };
int wire_send(struct wire *w, const struct wire_word *word); /* 0, WIRE_FULL, WIRE_ENDED or -errno */
int wire_receive(struct wire *w, struct wire_word *word);    /* 0, WIRE_EMPTY, WIRE_ENDED, -EPROTO or -errno */

static inline struct span wire_text(const char *s)
{
	return (struct span){(const uint8_t *)s, s ? __builtin_strlen(s) : 0};
}

#endif
