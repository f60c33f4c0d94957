/* SPDX-License-Identifier: MIT */
/* ledger_rig.h - a ledger in a directory of its own, entries that say their number and size, and what a replay tells. */
#ifndef TESTS_STORE_LEDGER_RIG_H
#define TESTS_STORE_LEDGER_RIG_H

#include "store/ledger.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LEDGER_RIG_MAX = 200000 };

struct ledger_rig {
	char *dir;
	struct ledger_opts opts;
	struct ledger_events events;
	struct ledger_file *file;
	struct ledger seam;
	atomic_uint troubles, recoveries;

	/* of the last replay */
	uint64_t told, last;
	uint64_t numbers[LEDGER_RIG_MAX];
	size_t lens[LEDGER_RIG_MAX];
};

static inline void ledger_rig_trouble(void *ctx, const char *sentence)
{
	struct ledger_rig *r = ctx;

	atomic_fetch_add(sentence ? &r->troubles : &r->recoveries, 1);
}

static inline struct ledger_rig *ledger_rig_new(void)
{
	struct ledger_rig *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->dir = tempdir_new();
	r->opts = (struct ledger_opts){.dir = r->dir, .max_bytes = 64 << 20, .memory_bytes = 4 << 20};
	r->events = (struct ledger_events){.ctx = r, .trouble = ledger_rig_trouble};
	return r;
}

/* Every byte of an entry follows from its tag and its place: a wrong one shows. */
static inline void ledger_rig_fill(uint8_t *out, size_t len, uint64_t tag)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(tag * 31 + i * 7);
}

static inline int ledger_rig_each(void *arg, uint64_t number, struct span bytes)
{
	struct ledger_rig *r = arg;
	uint64_t tag = 0;

	assert_true(number > r->last);
	assert_true(r->told < LEDGER_RIG_MAX);
	if (bytes.len >= sizeof(tag))
		memcpy(&tag, bytes.at, sizeof(tag));
	for (size_t i = sizeof(tag); i < bytes.len; i++)
		assert_int_equal(bytes.at[i], (uint8_t)(tag * 31 + i * 7));
	r->last = number;
	r->lens[r->told] = bytes.len;
	r->numbers[r->told++] = number;
	return 0;
}

static inline int ledger_rig_open(struct ledger_rig *r)
{
	int err = ledger_open(&r->file, &r->opts, &r->events, &clock_system);

	r->told = r->last = 0;
	if (err < 0)
		return err;
	r->seam = ledger_seam(r->file);
	return r->seam.ops->replay(r->seam.ctx, ledger_rig_each, r);
}

static inline void ledger_rig_close(struct ledger_rig *r)
{
	ledger_close(r->file);
	r->file = NULL;
}

static inline void ledger_rig_free(struct ledger_rig *r)
{
	ledger_rig_close(r);
	tempdir_free(r->dir);
	free(r);
}

/* What put() says; the entry begins with its tag. */
static inline int ledger_rig_put(struct ledger_rig *r, uint64_t tag, size_t len, uint64_t *number)
{
	static uint8_t bytes[1 << 20];
	struct span parts[2];

	assert_true(len >= sizeof(tag) && len <= sizeof(bytes));
	ledger_rig_fill(bytes, len, tag);
	memcpy(bytes, &tag, sizeof(tag));
	parts[0] = (struct span){bytes, sizeof(tag)};
	parts[1] = (struct span){bytes + sizeof(tag), len - sizeof(tag)};
	return r->seam.ops->put(r->seam.ctx, parts, 2, number);
}

static inline void ledger_rig_drop(struct ledger_rig *r, uint64_t number)
{
	r->seam.ops->drop(r->seam.ctx, number);
}

static inline void ledger_rig_turn(struct ledger_rig *r)
{
	r->seam.ops->turn_over(r->seam.ctx);
}

static inline uint64_t ledger_rig_committed(struct ledger_rig *r)
{
	return r->seam.ops->committed(r->seam.ctx);
}

/* Turns of the loop until a ticket is safe; false: not within twenty seconds. */
static inline bool ledger_rig_settle(struct ledger_rig *r, uint64_t ticket)
{
	struct pollfd p = {.fd = r->seam.ops->wake_fd(r->seam.ctx), .events = POLLIN};

	for (int i = 0; i < 2000; i++) {
		ledger_rig_turn(r);
		if (ledger_rig_committed(r) >= ticket)
			return true;
		poll(&p, 1, 10);
	}
	return false;
}

/* All that was put and dropped so far is safe. */
static inline void ledger_rig_commit(struct ledger_rig *r)
{
	assert_true(ledger_rig_settle(r, r->seam.ops->ticket(r->seam.ctx)));
}

/* Bytes of the files of the database. */
static inline int64_t ledger_rig_disk(const struct ledger_rig *r)
{
	static const char *const names[] = {"broker.db", "broker.db-wal", "broker.db-shm"};
	int64_t sum = 0;

	for (size_t i = 0; i < COUNT(names); i++) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", r->dir, names[i]);
		if (stat(path, &st) == 0)
			sum += st.st_size;
	}
	return sum;
}

#endif
