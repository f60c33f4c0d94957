/* SPDX-License-Identifier: MIT */
#include "broker/queue.h"

#include <errno.h>
#include <stdlib.h>

enum { BLOCK_ENTRIES = 31 };

struct queue_block {
	struct queue_block *next;
	struct delivery entries[BLOCK_ENTRIES];
	struct mark marks[]; /* as many, of a queue that is marked */
};

int queue_push(struct queue *q, const struct delivery *d)
{
	if (!q->last || q->tail == BLOCK_ENTRIES) {
		struct queue_block *b = malloc(sizeof(*b) + (q->marked ? sizeof(struct mark) * BLOCK_ENTRIES : 0));

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
	if (q->marked)
		q->last->marks[q->tail] = (struct mark){0};
	q->last->entries[q->tail++] = *d;
	q->count++;
	return 0;
}

struct delivery *queue_head(const struct queue *q)
{
	return q->count > 0 ? &q->first->entries[q->head] : NULL;
}

struct mark *queue_mark(const struct queue *q)
{
	return q->marked && q->count > 0 ? &q->first->marks[q->head] : NULL;
}

struct mark *queue_last_mark(const struct queue *q)
{
	return q->marked && q->count > 0 ? &q->last->marks[q->tail - 1] : NULL;
}

uint32_t queue_below(const struct queue *q, uint64_t number, uint32_t most)
{
	const struct queue_block *b = q->first;
	uint32_t count = 0, at = q->head;

	while (count < q->count && count < most && b->marks[at].number < number) {
		count++;
		if (++at == BLOCK_ENTRIES) {
			at = 0;
			b = b->next;
		}
	}
	return count;
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
		*q = (struct queue){.marked = q->marked};
	free(b);
}
