/* SPDX-License-Identifier: MIT */
/* durable_rig.h - a broker that keeps its state in a ledger in memory: the test says when it has committed, and a crash
 * leaves what it had committed until then. With a store, where a test wants one. */
#ifndef TESTS_BROKER_DURABLE_RIG_H
#define TESTS_BROKER_DURABLE_RIG_H

#include "broker/durable.h"
#include "tests/broker/fake_ledger.h"
#include "tests/broker/fake_store.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct bench {
	struct rig rig;
	struct fake_ledger ledger;
	struct fake_store *store; /* of an upstream that wants everything; NULL: there is none */
	int pub, sub;             /* descriptors; 0: not connected */
};

enum { Q1 = 2, Q2 = 4, RETAIN = 1, DUP = 8 };

static inline void start(struct bench *b, int64_t mono_ms, int64_t wall_ms)
{
	struct ledger seam = fake_ledger_seam(&b->ledger);
	struct persist persist = b->store ? fake_store_seam(b->store) : (struct persist){0};

	rig_defaults(&b->rig);
	b->rig.clock.mono_now_us = mono_ms * 1000;
	b->rig.clock.wall_now_ms = wall_ms;
	b->rig.opts.retained_interval_ms = 5000;
	rig_start(&b->rig, &persist);
	assert_int_equal(broker_keep(b->rig.broker, &seam), 0);
}

static inline void open_bench(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fake_ledger_init(&b->ledger);
	start(b, 1000000, 1700000000000);
}

static inline void leave(struct bench *b, int *fd)
{
	close(*fd);
	*fd = 0;
	rig_turn(&b->rig);
}

static inline void stop(struct bench *b)
{
	if (b->pub)
		close(b->pub);
	if (b->sub)
		close(b->sub);
	b->pub = b->sub = 0;
	rig_stop(&b->rig);
}

static inline void close_bench(struct bench *b)
{
	stop(b);
	fake_ledger_fini(&b->ledger);
}

/* The process ends at once, everything up to this turn is on the disk, and it begins again after `down_ms`. */
static inline void crash_at(struct bench *b, uint64_t turn, int64_t down_ms)
{
	struct fake_ledger after;
	int64_t wall_ms = b->rig.clock.wall_now_ms + down_ms;

	fake_ledger_crash(&after, &b->ledger, turn);
	stop(b);
	fake_ledger_fini(&b->ledger);
	b->ledger = after;
	if (b->store)
		fake_store_crash(b->store, b->store->committed);
	start(b, 5000, wall_ms); /* the machine may have booted meanwhile */
}

static inline void commit(struct bench *b)
{
	fake_ledger_commit(&b->ledger, fake_ledger_now(&b->ledger));
	rig_turn(&b->rig);
}

static inline void crash(struct bench *b)
{
	crash_at(b, fake_ledger_now(&b->ledger), 0);
}

/* CONNECT alone; 3.1.1, clean or not. */
static inline int knock(struct bench *b, const char *id, bool clean)
{
	uint8_t p[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, clean ? 2 : 0, 0, 0, 0, (uint8_t)strlen(id)};
	size_t n = 14 + strlen(id);
	int fd = rig_open(&b->rig);

	memcpy(p + 14, id, strlen(id));
	p[1] = (uint8_t)(n - 2);
	rig_send(&b->rig, fd, p, n);
	return fd;
}

static inline void expect_connack(struct bench *b, int fd, bool present)
{
	uint8_t want[4] = {0x20, 2, present, 0};

	rig_expect(&b->rig, fd, want, 4);
}

/* A session that is kept: connected, and committed. */
static inline int come(struct bench *b, const char *id, bool present)
{
	int fd = knock(b, id, false);

	commit(b);
	expect_connack(b, fd, present);
	return fd;
}

static inline void subscribe(struct bench *b, int fd, const char *filter, uint8_t qos)
{
	uint8_t p[64], want[] = {0x90, 3, 0, 7, qos};

	rig_send(&b->rig, fd, p, rig_subscribe(p, 4, 7, filter, qos));
	commit(b);
	rig_expect(&b->rig, fd, want, sizeof(want));
}

static inline void publish(struct bench *b, const char *topic, const char *text, uint8_t flags, uint16_t id)
{
	uint8_t p[128];

	rig_send(&b->rig, b->pub, p, rig_publish(p, 4, topic, text, flags, id));
}

static inline void expect_publish(
	struct bench *b, int fd, const char *topic, const char *text, uint8_t flags, uint16_t id)
{
	uint8_t p[128];

	rig_expect(&b->rig, fd, p, rig_publish(p, 4, topic, text, flags, id));
}

static inline void answer(struct bench *b, int fd, uint8_t type, uint16_t id)
{
	uint8_t p[4];

	rig_send(&b->rig, fd, p, rig_answer(p, type, id));
}

static inline void expect_answer(struct bench *b, int fd, uint8_t type, uint16_t id)
{
	uint8_t p[4];

	rig_expect(&b->rig, fd, p, rig_answer(p, type, id));
}

static inline void expect_nothing(struct bench *b, int fd)
{
	rig_expect(&b->rig, fd, "", 0);
}

/* A durable subscriber that is away, and a publisher. */
static inline void away(struct bench *b, uint8_t qos)
{
	open_bench(b);
	b->sub = come(b, "sub", false);
	subscribe(b, b->sub, "t/#", qos);
	leave(b, &b->sub);
	b->pub = rig_connect(&b->rig, 4, "pub", true);
	commit(b);
}

/* --- 5.0 ------------------------------------------------------------------------------------------------------- */

/* CONNECT of a 5.0 client: session expiry, and a will with a delay where delay_s is not negative. */
static inline int call_5(struct bench *b, const char *id, uint8_t expiry_s, int delay_s)
{
	uint8_t p[128] = {
		0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 5, delay_s >= 0 ? 0x0c : 0, 0, 0, 5, 0x11, 0, 0, 0, expiry_s};
	size_t n = 18;
	int fd = rig_open(&b->rig);

	p[n++] = 0;
	p[n++] = (uint8_t)strlen(id);
	memcpy(p + n, id, strlen(id));
	n += strlen(id);
	if (delay_s >= 0) {
		const uint8_t will[] = {5, 0x18, 0, 0, 0, (uint8_t)delay_s, 0, 1, 'w', 0, 3, 'b', 'y', 'e'};

		memcpy(p + n, will, sizeof(will));
		n += sizeof(will);
	}
	p[1] = (uint8_t)(n - 2);
	rig_send(&b->rig, fd, p, n);
	return fd;
}

static inline int knock_5(struct bench *b, const char *id, uint8_t expiry_s, int delay_s)
{
	int fd = call_5(b, id, expiry_s, delay_s);

	commit(b);
	return fd;
}

static inline void come_5(struct bench *b, const char *id, uint8_t expiry_s, int delay_s)
{
	uint8_t got[64];
	bool closed;

	b->sub = knock_5(b, id, expiry_s, delay_s);
	assert_true(rig_read(&b->rig, b->sub, got, sizeof(got), &closed) >= 5);
	assert_int_equal(got[0], 0x20);
	assert_int_equal(got[3], 0);
}

static inline bool is_present(struct bench *b, const char *id)
{
	uint8_t got[64];
	bool closed;
	int fd = knock_5(b, id, 100, -1);

	assert_true(rig_read(&b->rig, fd, got, sizeof(got), &closed) >= 5);
	close(fd);
	rig_turn(&b->rig);
	return got[2] == 1;
}

#endif
