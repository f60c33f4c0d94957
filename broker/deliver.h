/* SPDX-License-Identifier: MIT */
/* deliver.h - a message to its receivers: at once, into their window, or into their queue.
 *
 * Owner     broker thread.
 * Truth     nothing in here ends a session, closes a connection or changes a subscription.
 */
#ifndef BROKER_DELIVER_H
#define BROKER_DELIVER_H

#include "broker/core.h"
#include "broker/post.h"

enum { DELIVER_SOFT = 1000 }; /* so many queued for a connected client: publishers are asked to wait */

/* To everybody; how many took it or will. *choker: a connection that should be waited for, or NULL. */
unsigned deliver_route(struct broker *b, const struct route *r, struct post *p, struct conn **choker);
/* A retained message for a new subscription. */
void deliver_retained(struct session *s, struct msg *m, uint32_t opts);
/* A message of a share, again, to somebody else. */
void deliver_shared_again(struct broker *b, uint32_t share, struct msg *m, const struct session *not_to);

#endif
