/* SPDX-License-Identifier: MIT */
/* post.h - a message on its way through the broker, and the packets it becomes.
 *
 * Owner     broker thread; lives for one call.
 * Encoding  once per layout (MQTT 5 or not, with or without packet id); receivers whose packet differs more than in
 *           the first byte and the id (subscription identifiers, topic alias, DUP) get one of their own.
 * Memory    points into the packet it came in, or into a msg. A struct msg is made only when something keeps it.
 */
#ifndef BROKER_POST_H
#define BROKER_POST_H

#include "base/cursor.h"
#include "base/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct conn;
struct session;

enum {
	POST_LAYOUTS = 4,
	POST_BY_REFERENCE = 16 * 1024, /* payloads from here on are not copied into outputs */
};

struct layout {
	uint8_t *bytes; /* NULL: not made yet */
	uint32_t len;   /* without a payload by reference */
	uint32_t id_at;
};

struct post {
	struct span topic, props, payload; /* props: those that travel on */
	uint32_t expiry_s;                 /* what is left */
	uint8_t qos;
	bool retain;
	uint8_t origin;
	uint32_t origin_id;
	uint64_t once;        /* 0, or see exact.h */
	uint32_t kept;        /* the message in the ledger; see mark.h */
	bool unkept;          /* not to be put there */
	bool single;          /* one receiver at most is to get it */
	bool durable;         /* was put there: its answer waits for that */
	struct session *from; /* NULL: the gateway's */
	struct msg *msg;      /* borrowed from whoever made it, or made here: post_fini() */
	bool owns_msg;
	struct layout layout[POST_LAYOUTS];
};

void post_init(struct post *p, struct session *from);
void post_from_msg(struct post *p, struct msg *m, int64_t now_ms); /* borrows m */
struct msg *post_msg(struct broker *b, struct post *p);            /* made when needed; NULL: no memory */
void post_fini(struct broker *b, struct post *p);

/* How one receiver wants it. */
struct want {
	uint8_t qos;
	bool retain, dup;
	uint16_t id;
	const uint32_t *ids;
	size_t id_count;
};

/* One PUBLISH to one client. false: it is too large for the client, which counts as delivered [MQTT-3.1.2-25], or at
 * QoS 0 there is no memory; at QoS 1, 2 the connection ends then. */
bool post_send(struct conn *c, struct post *p, const struct want *w);

#endif
