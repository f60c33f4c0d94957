/* SPDX-License-Identifier: MIT */
/* A mark "once/KEY" for each message that must not be taken twice: QoS 2 from clients, between PUBLISH and PUBREL. It is
 * written in the transaction that holds the message, so that after a crash both are there or neither is. Its value is
 * the wall time: a client that never comes back is forgotten after KEEP_MS. */
#include "store/queue_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_MS (7 * INT64_C(86400000))
#define PREFIX  "once/"

enum { NAME_LEN = 32 };

static const char *name_of(uint64_t key, char out[NAME_LEN])
{
	snprintf(out, NAME_LEN, PREFIX "%016" PRIx64, key);
	return out;
}

struct load {
	struct queue *q;
	int64_t wall_ms;
	size_t cap;
	int result;
	uint64_t stale;
};

static bool load_one(void *ctx, const char *name, uint64_t value)
{
	struct load *l = ctx;
	uint64_t key, *more;

	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
		return true;
	key = strtoull(name + sizeof(PREFIX) - 1, NULL, 16);
	if (l->wall_ms - (int64_t)value > KEEP_MS) {
		l->stale = key;
		return true;
	}
	if (l->q->once_count == l->cap) {
		l->cap = l->cap > 0 ? 2 * l->cap : 64;
		more = realloc(l->q->once, l->cap * sizeof(*more));
		if (!more) {
			l->result = -ENOMEM;
			return false;
		}
		l->q->once = more;
	}
	l->q->once[l->q->once_count++] = key;
	return true;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int once_load(struct queue *q, int64_t wall_ms)
{
	for (;;) {
		struct load l = {.q = q, .wall_ms = wall_ms};
		char name[NAME_LEN];
		int r;

		free(q->once);
		q->once = NULL;
		q->once_count = 0;
		r = db_mark_each(q->db, load_one, &l);
		if (r == 0)
			r = l.result;
		if (r == 0 && l.stale != 0) { /* one a round: there are few */
			r = db_mark_drop(q->db, name_of(l.stale, name));
			if (r == 0)
				continue;
		}
		if (r == 0 && q->once_count > 0)
			qsort(q->once, q->once_count, sizeof(*q->once), ascending);
		return r;
	}
}

int once_save(struct queue *q, struct msg *const *msgs, size_t count, int64_t wall_ms)
{
	char name[NAME_LEN];
	int r = 0;

	for (size_t i = 0; r == 0 && i < q->forget_count; i++)
		r = db_mark_drop(q->db, name_of(q->forget[i], name));
	for (size_t i = 0; r == 0 && i < count; i++)
		if (msgs[i]->once != 0)
			r = db_mark_set(q->db, name_of(msgs[i]->once, name), (uint64_t)wall_ms);
	return r;
}

void queue_forget(struct queue *q, const uint64_t *keys, size_t count)
{
	q->forget = keys;
	q->forget_count = count;
}

const uint64_t *queue_once(const struct queue *q, size_t *count)
{
	*count = q->once_count;
	return q->once;
}
