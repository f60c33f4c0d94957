/* SPDX-License-Identifier: MIT */
/* deliver.h - a message on its way out: to the receivers of a route, to one session, from a session's queue.
 *
 * Owner     broker thread.
 * Encoding  once per layout (MQTT 5 or not, with or without packet id); receivers whose packet differs more than in
 *           the first byte and the id (subscription identifiers, topic alias) get one of their own.
 * Memory    a struct msg is made only when something keeps the message.
 */
#ifndef BROKER_DELIVER_H
#define BROKER_DELIVER_H

#include "broker/core.h"

enum {
	DELIVER_BY_REFERENCE = 16 * 1024, /* payloads from here on are not copied into outputs */
	DELIVER_PUMP = 512 * 1024,        /* what one session gets from its queue per turn */
	DELIVER_SOFT = 1000,              /* so many queued for a connected client: publishers are asked to wait */
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
	struct session *from; /* NULL: the gateway's */
	struct msg *msg;      /* borrowed from whoever made it, or made here: post_fini() */
	bool owns_msg;
	struct layout layout[LAYOUTS];
};

void post_init(struct post *p, struct session *from);
void post_from_msg(struct post *p, struct msg *m, int64_t now_ms); /* borrows m */
struct msg *post_msg(struct broker *b, struct post *p);            /* made when needed; NULL: no memory */
void post_fini(struct post *p);

/* To everybody; how many took it or will. *choker: a connection that should be waited for, or NULL. */
unsigned deliver_route(struct broker *b, const struct route *r, struct post *p, struct conn **choker);
/* A retained message for a new subscription. */
void deliver_retained(struct session *s, struct msg *m, uint32_t opts);
/* A message of a share, again, to somebody else. */
void deliver_shared_again(struct broker *b, uint32_t share, struct msg *m, const struct session *not_to);

void deliver_pump(struct session *s);          /* what may go now of what is queued */
bool deliver_waiting(const struct session *s); /* would deliver_pump() send something, given room in the socket? */
void deliver_resume(struct session *s);        /* after a reconnect: what was in flight, then the queue */
void delivery_done(struct session *s, struct delivery *d); /* acknowledged: leaves the window */
bool delivery_keep(
	struct session *s, struct delivery *d, struct msg *m); /* its own reference, counted; false: no memory */
void delivery_release(struct session *s, struct delivery *d);  /* its message and its ids */

#endif
