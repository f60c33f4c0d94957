/* SPDX-License-Identifier: MIT */
/* dispatch.h - which handler takes which packet, by the state of the connection.
 *
 * A handler returns 0, DISPATCH_HOLD (the packet stays, the connection is held), DISPATCH_GONE (the connection was
 * closed), or the reason code (>= 0x80) to close it with; the will is published then.
 */
#ifndef BROKER_DISPATCH_H
#define BROKER_DISPATCH_H

#include "broker/core.h"

enum { DISPATCH_HOLD = 1, DISPATCH_GONE = 2 };

struct packet {
	uint8_t type, flags;
	uint8_t *start; /* of the fixed header; the broker's own memory, a handler may change it */
	uint32_t total;
	struct span body;
};

int dispatch(struct conn *c, struct packet *p);

int connect_packet(struct conn *c, struct packet *p);   /* connect.c */
int publish_packet(struct conn *c, struct packet *p);   /* publish.c */
int subscribe_packet(struct conn *c, struct packet *p); /* subscribe.c */
void subscribe_forget(struct conn *c);                  /* a packet of filters that is under way */
int unsubscribe_packet(struct conn *c, struct packet *p);
int answer_packet(struct conn *c, struct packet *p); /* answer.c: PUBACK, PUBREC, PUBREL, PUBCOMP */

#endif
