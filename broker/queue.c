/* SPDX-License-Identifier: MIT */
#include "broker/queue.h"

#include <errno.h>
#include <stdlib.h>

enum { BLOCK_ENTRIES = 31 };

struct queue_block {
	struct queue_block *next;
	struct delivery entries[BLOCK_ENTRIES];
};

int queue_push(struct queue *q, const struct delivery *d)
{
	if (!q->last || q->tail == BLOCK_ENTRIES) {
		struct queue_block *b = malloc(sizeof(*b));

		if (!b)
			return -ENOMEM;
		b->next = NULL;
		if (q->last)
			q->last->next = b;
		else
			q->first = b;
		q->last = b;
		q->tail = 0;
	}
	q->last->entries[q->tail++] = *d;
	q->count++;
	return 0;
}

struct delivery *queue_head(const struct queue *q)
{
	return q->count > 0 ? &q->first->entries[q->head] : NULL;
}

void queue_pop(struct queue *q)
{
	struct queue_block *b = q->first;

	q->count--;
	if (++q->head < BLOCK_ENTRIES && q->count > 0)
		return;
	q->head = 0;
	q->first = b->next;
	if (!q->first)
		*q = (struct queue){0};
	free(b);
}
