/* SPDX-License-Identifier: MIT */
/* queue.h - messages that wait for one session, in order.
 *
 * Owner     broker thread.
 * Memory    blocks of 31 entries of 16 bytes; the messages are shared by reference. The bounds are session.c's.
 */
#ifndef BROKER_QUEUE_H
#define BROKER_QUEUE_H

#include "broker/window.h"

struct queue_block;

struct queue {
	struct queue_block *first, *last;
	uint32_t count;
	uint16_t head, tail; /* in first; in last */
};

int queue_push(struct queue *q, const struct delivery *d); /* 0 or -ENOMEM */
struct delivery *queue_head(const struct queue *q);        /* NULL: empty */
void queue_pop(struct queue *q);                           /* the message of the head is the caller's */

#endif
