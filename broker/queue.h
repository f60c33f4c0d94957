/* SPDX-License-Identifier: MIT */
/* queue.h - messages that wait for one session, in order.
 *
 * Owner     broker thread.
 * Memory    blocks of 31 entries of 16 bytes, with marks of 32; the messages are shared by reference. The bounds are
 *           session.c's.
 */
#ifndef BROKER_QUEUE_H
#define BROKER_QUEUE_H

#include "broker/window.h"

struct queue_block;

struct queue {
	struct queue_block *first, *last;
	uint32_t count : 31, marked : 1; /* marked: each entry has a mark beside it */
	uint16_t head, tail;             /* in first; in last */
};

int queue_push(struct queue *q, const struct delivery *d); /* 0 or -ENOMEM */
struct delivery *queue_head(const struct queue *q);        /* NULL: empty */
struct mark *queue_mark(const struct queue *q);            /* of the head; NULL: not marked */
struct mark *queue_last_mark(const struct queue *q);       /* of the one pushed last */
/* How many from the head on have a mark below this number; at most so many are looked at. */
uint32_t queue_below(const struct queue *q, uint64_t number, uint32_t most);
void queue_pop(struct queue *q); /* the message of the head is the caller's */

#endif
