/* SPDX-License-Identifier: MIT */
/* The file is a head and a ring of entries, mapped. An entry is written whole before its state says that it counts,
 * and a process that is killed has done its stores in that order, so no journal is needed: a kill falls between two
 * states, and each of them is true.
 *
 * The ring goes on over the links of a process and over its starts, while packet ids begin anew with each handle of
 * Paho's; so what was sent last is found by place, and an id only leads to the entry that used it last. */
#include "bridge/exact.h"

#include "base/hash.h"
#include "bridge/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { IDS = 65536, NOWHERE = UINT16_MAX };

struct entry {
	uint64_t seq;
	uint32_t sum;
	uint16_t id;
	_Atomic uint16_t state; /* enum exact_state; written last */
};

struct file {
	struct mapped_head head;
	uint64_t address; /* a sum over it; 0: no session is known */
	uint64_t store_file, store_born;
	_Atomic uint64_t floor;
	uint64_t next; /* place of the next entry; entries[next % EXACT_ENTRIES] */
	struct entry entries[EXACT_ENTRIES];
};

_Static_assert(sizeof(struct entry) == 16, "an entry is the same in every build");

struct exact {
	struct mapped map;
	struct file *file; /* of it */
	atomic_size_t in_flight;
	_Atomic uint16_t of_id[IDS]; /* place of the entry that used it last on this link */
	struct {
		uint64_t seq;
		uint16_t place;
	} recalled[EXACT_ENTRIES]; /* by seq */
	size_t recalled_count;
};

uint32_t exact_sum(const struct msg *m)
{
	uint32_t topic = hash32_on(HASH_BEGIN32, msg_topic(m), m->topic_len);

	return hash32_on(topic, msg_payload(m), m->payload_len);
}

static uint64_t sum_of_address(const char *address)
{
	return (uint64_t)hash32_text(address) | UINT64_C(1) << 32;
}

/* --- the file ---------------------------------------------------------------------------------------------------- */

/* Which file the seqs are of: one that was deleted, restored or salvaged is another. */
static void identify_store(const char *dir, uint64_t *number, uint64_t *born)
{
	char path[PATH_MAX];
	struct statx st = {0};

	*number = *born = 0;
	if (snprintf(path, sizeof(path), "%s/queue.db", dir) >= (int)sizeof(path) ||
		statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &st) < 0)
		return;
	*number = st.stx_ino;
	*born = (uint64_t)st.stx_btime.tv_sec * 1000000000u + st.stx_btime.tv_nsec;
}

static bool holds(const struct entry *at)
{
	return at->state == EXACT_SENT || at->state == EXACT_RELEASED;
}

static void count_in_flight(struct exact *e)
{
	size_t n = 0;

	for (size_t i = 0; i < EXACT_ENTRIES; i++) {
		if (!holds(&e->file->entries[i]))
			continue;
		e->of_id[e->file->entries[i].id] = (uint16_t)i;
		n++;
	}
	e->in_flight = n;
}

static void take_over(struct exact *e, const char *dir)
{
	struct file *f = e->file;
	uint64_t store_file, store_born;

	identify_store(dir, &store_file, &store_born);
	if (f->store_file != store_file || f->store_born != store_born)
		f->floor = 0;
	f->store_file = store_file;
	f->store_born = store_born;
}

int exact_open(struct exact **out, const char *dir, const char *upstream)
{
	static const struct mapped_kind kind = {EXACT_FILE, "weirQoS2", 1, sizeof(struct file)};
	struct exact *e = calloc(1, sizeof(*e));
	int r = e ? mapped_open(&e->map, &kind, dir, upstream) : -ENOMEM;

	if (r < 0) {
		free(e);
		return r;
	}
	e->file = (struct file *)(void *)e->map.at;
	take_over(e, dir);
	for (size_t i = 0; i < IDS; i++)
		e->of_id[i] = NOWHERE;
	count_in_flight(e);
	*out = e;
	return 0;
}

void exact_close(struct exact *e)
{
	if (!e)
		return;
	mapped_close(&e->map);
	free(e);
}

/* --- the session ------------------------------------------------------------------------------------------------- */

bool exact_trusted(const struct exact *e, const char *address)
{
	return e->map.believed && e->file->address == sum_of_address(address);
}

void exact_begin(struct exact *e, const char *address)
{
	for (size_t i = 0; i < EXACT_ENTRIES; i++)
		if (holds(&e->file->entries[i]))
			e->file->entries[i].state = EXACT_NONE;
	e->in_flight = 0;
	e->file->address = sum_of_address(address);
	e->map.believed = true;
}

uint64_t exact_floor(const struct exact *e)
{
	return e->file->floor;
}

void exact_set_floor(struct exact *e, uint64_t seq)
{
	e->file->floor = seq;
}

/* --- a record ---------------------------------------------------------------------------------------------------- */

void exact_sent(struct exact *e, uint64_t seq, uint32_t sum, uint16_t id)
{
	struct file *f = e->file;
	struct entry *at = &f->entries[f->next % EXACT_ENTRIES];

	/* One of the other lane's may be unanswered for longer than it takes to come round. */
	for (size_t tries = 0; holds(at) && tries < EXACT_ENTRIES; tries++)
		at = &f->entries[++f->next % EXACT_ENTRIES];
	at->state = EXACT_NONE;
	at->seq = seq;
	at->sum = sum;
	at->id = id;
	e->of_id[id] = (uint16_t)(f->next % EXACT_ENTRIES);
	at->state = EXACT_SENT;
	f->next++;
	e->in_flight++;
}

static struct entry *entry_of(struct exact *e, uint16_t id)
{
	uint16_t place = e->of_id[id];
	struct entry *at = place == NOWHERE ? NULL : &e->file->entries[place];

	return at && at->id == id && holds(at) ? at : NULL;
}

void exact_released(struct exact *e, uint16_t id)
{
	struct entry *at = entry_of(e, id);

	if (at)
		at->state = EXACT_RELEASED;
}

bool exact_answered(struct exact *e, uint16_t id, bool success)
{
	struct entry *at = entry_of(e, id);
	/* Once released it is with the upstream for good: "packet identifier not found" is an answer to a PUBREL that
	 * came a second time. */
	bool done = success || !at || at->state == EXACT_RELEASED;

	if (at) {
		at->state = done ? EXACT_DONE : EXACT_NONE;
		e->in_flight--;
	}
	return done;
}

/* --- looking back -------------------------------------------------------------------------------------------------- */

size_t exact_in_flight(const struct exact *e)
{
	return e->in_flight;
}

bool exact_next(const struct exact *e, size_t *at, struct exact_held *out)
{
	while (*at < EXACT_ENTRIES) {
		const struct entry *entry = &e->file->entries[(e->file->next + (*at)++) % EXACT_ENTRIES];

		if (holds(entry)) {
			*out = (struct exact_held){entry->seq, entry->sum, entry->id, entry->state == EXACT_RELEASED};
			return true;
		}
	}
	return false;
}

static int by_seq(const void *a, const void *b)
{
	uint64_t left, right;

	memcpy(&left, a, sizeof(left)); /* its seq comes first */
	memcpy(&right, b, sizeof(right));
	return left < right ? -1 : left > right;
}

void exact_recall(struct exact *e)
{
	e->recalled_count = 0;
	for (size_t i = 0; i < EXACT_ENTRIES; i++) {
		if (e->file->entries[i].state == EXACT_NONE)
			continue;
		e->recalled[e->recalled_count].seq = e->file->entries[i].seq;
		e->recalled[e->recalled_count++].place = (uint16_t)i;
	}
	qsort(e->recalled, e->recalled_count, sizeof(e->recalled[0]), by_seq);
}

enum exact_state exact_find(const struct exact *e, uint64_t seq, uint32_t sum)
{
	size_t from = 0, to = e->recalled_count;

	while (from < to) {
		size_t middle = (from + to) / 2;

		if (e->recalled[middle].seq < seq)
			from = middle + 1;
		else
			to = middle;
	}
	for (; from < e->recalled_count && e->recalled[from].seq == seq; from++) {
		const struct entry *at = &e->file->entries[e->recalled[from].place];

		if (at->seq == seq && at->sum == sum && at->state != EXACT_NONE)
			return (enum exact_state)at->state;
	}
	return EXACT_NONE;
}
