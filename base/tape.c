/* SPDX-License-Identifier: MIT */
/* Notes lie one behind the other in the ring, each a head and its bytes, and may wrap anywhere. */
#include "base/tape.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct head {
	int64_t at_us;
	uint16_t kind, len;
};

struct tape {
	pthread_mutex_t lock;
	size_t cap, oldest, used; /* bytes */
	uint64_t oldest_seq, next_seq;
	uint8_t ring[];
};

enum { LONGEST = sizeof(struct head) + TAPE_NOTE_MAX };

int tape_new(struct tape **out, size_t cap)
{
	struct tape *t;

	if (cap < LONGEST)
		cap = LONGEST;
	t = calloc(1, sizeof(*t) + cap);
	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	t->cap = cap;
	t->oldest_seq = t->next_seq = 1;
	*out = t;
	return 0;
}

void tape_free(struct tape *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* offset counts from the oldest byte. */
static void copy_in(struct tape *t, size_t offset, const void *bytes, size_t len)
{
	size_t at = (t->oldest + offset) % t->cap;
	size_t first = len < t->cap - at ? len : t->cap - at;

	memcpy(t->ring + at, bytes, first);
	memcpy(t->ring, (const uint8_t *)bytes + first, len - first);
}

static void copy_out(const struct tape *t, size_t offset, void *bytes, size_t len)
{
	size_t at = (t->oldest + offset) % t->cap;
	size_t first = len < t->cap - at ? len : t->cap - at;

	memcpy(bytes, t->ring + at, first);
	memcpy((uint8_t *)bytes + first, t->ring, len - first);
}

static void drop_oldest(struct tape *t)
{
	struct head h;
	size_t n;

	copy_out(t, 0, &h, sizeof(h));
	n = sizeof(h) + h.len;
	t->oldest = (t->oldest + n) % t->cap;
	t->used -= n;
	t->oldest_seq++;
}

void tape_put(struct tape *t, int64_t at_us, unsigned kind, const void *bytes, size_t len)
{
	struct head h = {at_us, (uint16_t)kind, (uint16_t)(len < TAPE_NOTE_MAX ? len : TAPE_NOTE_MAX)};
	size_t n = sizeof(h) + h.len;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	while (t->cap - t->used < n)
		drop_oldest(t);
	copy_in(t, t->used, &h, sizeof(h));
	if (h.len)
		copy_in(t, t->used + sizeof(h), bytes, h.len);
	t->used += n;
	t->next_seq++;
	pthread_mutex_unlock(&t->lock);
}

size_t tape_read(struct tape *t, uint64_t after, struct tape_note *out, size_t max)
{
	size_t offset = 0, count = 0;
	struct head h;

	pthread_mutex_lock(&t->lock);
	for (uint64_t seq = t->oldest_seq; seq < t->next_seq && count < max; seq++) {
		copy_out(t, offset, &h, sizeof(h));
		if (seq > after) {
			out[count] = (struct tape_note){.seq = seq, .at_us = h.at_us, .kind = h.kind, .len = h.len};
			copy_out(t, offset + sizeof(h), out[count].bytes, h.len);
			count++;
		}
		offset += sizeof(h) + h.len;
	}
	pthread_mutex_unlock(&t->lock);
	return count;
}
