/* SPDX-License-Identifier: MIT */
#include "broker/exact.h"

#include "base/hash.h"
#include "base/log.h"
#include "broker/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool exact_works(const struct broker *b)
{
	return b->persist.ops && b->persist.ops->release && b->persist.ops->once;
}

/* The same over restarts. 48 bits of it name the client, 16 are the packet id. */
static uint64_t client_key(const void *client_id, size_t len)
{
	return hash_on(HASH_BEGIN, client_id, len) << 16;
}

int exact_start(struct broker *b)
{
	const uint64_t *keys;
	size_t count;

	if (!exact_works(b))
		return 0;
	keys = b->persist.ops->once(b->persist.ctx, &count);
	if (count == 0)
		return 0;
	b->exact.keys = malloc(count * sizeof(*keys));
	if (!b->exact.keys)
		return -ENOMEM;
	memcpy(b->exact.keys, keys, count * sizeof(*keys));
	b->exact.count = count;
	return 0;
}

void exact_fini(struct broker *b)
{
	free(b->exact.keys);
	free(b->exact.late);
	b->exact = (struct exact){0};
}

uint64_t exact_key(const struct session *s, uint16_t id)
{
	return exact_works(s->broker) && session_persists(s) ? client_key(s->client_id, s->client_id_len) | id : 0;
}

/* Those of one client: where they begin, and how many. */
static size_t find(const struct exact *e, uint64_t client, size_t *count)
{
	size_t low = 0, high = e->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (e->keys[middle] < client)
			low = middle + 1;
		else
			high = middle;
	}
	for (*count = 0; low + *count < e->count && e->keys[low + *count] >> 16 == client >> 16;)
		++*count;
	return low;
}

static void take_out(struct exact *e, size_t at, size_t count)
{
	memmove(e->keys + at, e->keys + at + count, (e->count - at - count) * sizeof(*e->keys));
	e->count -= count;
}

/* What the ledger brought back is as it was. What only the store knows may be stale, and what it was to do here is still
 * to be done: without a ledger nobody is left for whom. */
static unsigned flags_of(const struct session *s, uint16_t id)
{
	if (idset_has(&s->received, id))
		return IDSET_STORED;
	return IDSET_STORED | IDSET_RESTORED | (durable_open(s->broker) ? 0 : IDSET_DONE);
}

bool exact_restore(struct session *s)
{
	struct exact *e = &s->broker->exact;
	size_t count, at = find(e, client_key(s->client_id, s->client_id_len), &count);

	for (size_t i = 0; i < count; i++) {
		uint16_t id = (uint16_t)e->keys[at + i];

		if (idset_add(&s->received, id, flags_of(s, id)) < 0)
			return false; /* they stay in the list */
	}
	if (count > 0)
		take_out(e, at, count);
	return count > 0;
}

static void release_later(struct broker *b, uint64_t key)
{
	struct exact *e = &b->exact;

	if (e->late_count == e->late_cap) {
		size_t cap = e->late_cap > 0 ? e->late_cap * 2 : 64;
		uint64_t *more = realloc(e->late, cap * sizeof(*more));

		if (!more) {
			log_warn("broker: out of memory; the store remembers an id of QoS 2 longer than it need");
			return;
		}
		e->late = more;
		e->late_cap = cap;
	}
	e->late[e->late_count++] = key;
}

void exact_let_go(struct broker *b, uint64_t key)
{
	uint64_t ticket; /* nobody waits for it */

	if (b->exact.late_count > 0 || b->persist.ops->release(b->persist.ctx, key, &ticket) != 0)
		release_later(b, key);
}

/* --- keys of wills: with a number where others have a client, and no packet id -------------------------------- */

bool exact_take(struct broker *b, uint64_t key)
{
	struct exact *e = &b->exact;
	size_t count, at = find(e, key, &count);

	if (count == 0 || e->keys[at] != key)
		return false;
	take_out(e, at, 1);
	return true;
}

void exact_retry(struct broker *b)
{
	struct exact *e = &b->exact;
	size_t done = 0;
	uint64_t ticket;

	while (done < e->late_count && b->persist.ops->release(b->persist.ctx, e->late[done], &ticket) == 0)
		done++;
	if (done > 0)
		memmove(e->late, e->late + done, (e->late_count - done) * sizeof(*e->late));
	e->late_count -= done;
}

void exact_forget(struct broker *b, const void *client_id, size_t len)
{
	struct exact *e = &b->exact;
	size_t count, at = find(e, client_key(client_id, len), &count);

	for (size_t i = 0; i < count; i++)
		exact_let_go(b, e->keys[at + i]);
	if (count > 0)
		take_out(e, at, count);
}

int exact_release(struct session *s, uint16_t id, uint64_t *ticket)
{
	struct broker *b = s->broker;

	*ticket = 0;
	if (!(idset_flags(&s->received, id) & IDSET_STORED))
		return 0;
	return b->persist.ops->release(b->persist.ctx, client_key(s->client_id, s->client_id_len) | id, ticket);
}

void exact_session_ends(struct session *s)
{
	if (s->broker->freeing) /* it lives on in the store */
		return;
	for (uint32_t i = 0; i < s->received.cap; i++) {
		uint16_t id = (uint16_t)s->received.slots[i];

		if (id != 0 && idset_flags(&s->received, id) & IDSET_STORED)
			exact_let_go(s->broker, client_key(s->client_id, s->client_id_len) | id);
	}
}
