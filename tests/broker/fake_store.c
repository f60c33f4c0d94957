/* SPDX-License-Identifier: MIT */
#include "tests/broker/fake_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int keep(void *ctx, struct msg *m, uint64_t *ticket)
{
	struct fake_store *s = ctx;
	char text[16] = {0};

	if (s->busy)
		return PERSIST_BUSY;
	assert(s->count < FAKE_STORE_MAX && m->payload_len < sizeof(text));
	memcpy(text, msg_payload(m), m->payload_len);
	s->changes[s->count++] = (struct fake_change){m->once, atoi(text)};
	*ticket = s->count;
	return 0;
}

static bool selects(void *ctx, const char *topic, size_t len)
{
	(void)ctx;
	(void)topic;
	return len > 0;
}

static uint64_t committed(void *ctx)
{
	struct fake_store *s = ctx;
	uint64_t ignored;

	if (read(s->fd, &ignored, sizeof(ignored)) < 0)
		return s->committed; /* nobody woke it: it asks by itself */
	return s->committed;
}

static int wake_fd(void *ctx)
{
	return ((struct fake_store *)ctx)->fd;
}

static int release(void *ctx, uint64_t once, uint64_t *ticket)
{
	struct fake_store *s = ctx;

	assert(s->count < FAKE_STORE_MAX);
	s->changes[s->count++] = (struct fake_change){once, -1};
	*ticket = s->count;
	return 0;
}

static const uint64_t *once(void *ctx, size_t *count)
{
	struct fake_store *s = ctx;

	*count = s->key_count;
	return s->keys;
}

struct persist fake_store_seam(struct fake_store *s)
{
	static const struct persist_ops ops = {.keep = keep,
		.selects = selects,
		.committed = committed,
		.wake_fd = wake_fd,
		.release = release,
		.once = once};

	return (struct persist){&ops, s};
}

void fake_store_init(struct fake_store *s)
{
	memset(s, 0, sizeof(*s));
	s->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert(s->fd >= 0);
}

void fake_store_fini(struct fake_store *s)
{
	close(s->fd);
}

void fake_store_commit(struct fake_store *s, uint64_t ticket)
{
	uint64_t one = 1;

	s->committed = ticket;
	if (write(s->fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void forget(struct fake_store *s, uint64_t key)
{
	for (size_t i = 0; i < s->key_count; i++) {
		if (s->keys[i] == key) {
			s->keys[i] = s->keys[--s->key_count];
			return;
		}
	}
}

void fake_store_crash(struct fake_store *s, uint64_t ticket)
{
	s->count = s->committed = ticket;
	s->key_count = 0;
	for (uint64_t i = 0; i < s->count; i++) {
		const struct fake_change *c = &s->changes[i];

		if (c->once == 0)
			continue;
		forget(s, c->once);
		if (c->kept >= 0)
			s->keys[s->key_count++] = c->once;
	}
	qsort(s->keys, s->key_count, sizeof(s->keys[0]), ascending);
}

unsigned fake_store_times(const struct fake_store *s, int number)
{
	unsigned times = 0;

	for (uint64_t i = 0; i < s->count; i++)
		times += s->changes[i].kept == number;
	return times;
}
