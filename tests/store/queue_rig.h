/* SPDX-License-Identifier: MIT */
/* queue_rig.h - a queue in a directory of its own, messages that know their number, and a look at what is in it. */
#ifndef TESTS_STORE_QUEUE_RIG_H
#define TESTS_STORE_QUEUE_RIG_H

#include "store/queue.h"
#include "store/store.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RIG_BATCH_MAX = 2000 };

struct rig {
	char *dir;
	struct queue_opts opts;
	struct queue *queue;
	struct queue_time now;
	uint64_t sent; /* messages committed */
};

static const char *const rig_ups[] = {"cloud"};

static inline void rig_init(struct rig *r)
{
	*r = (struct rig){.dir = tempdir_new(), .now = {1000, 1700000000000}};
	r->opts = (struct queue_opts){.dir = r->dir, .sync = true, .max_bytes = 2 << 20, .event_topic = "weir/event"};
}

static inline int rig_open(struct rig *r)
{
	return queue_open(&r->queue, &r->opts, rig_ups, 1, r->now);
}

static inline void rig_close(struct rig *r)
{
	queue_close(r->queue);
	r->queue = NULL;
}

static inline void rig_fini(struct rig *r)
{
	rig_close(r);
	tempdir_free(r->dir);
}

/* Number n, padded to `size` bytes of payload. */
static inline struct msg *rig_msg(uint64_t n, enum msg_class class, size_t size)
{
	char payload[4096], topic[64];
	int len = snprintf(payload, sizeof(payload), "{\"n\":%" PRIu64 "}", n);
	int topic_len = snprintf(topic, sizeof(topic), "site/line/device-%u/point", (unsigned)(n % 40));
	struct msg_spec s = {.topic = topic,
		.topic_len = (uint32_t)topic_len,
		.payload = payload,
		.qos = 1,
		.class = class,
		.origin = MSG_FROM_LINE,
		.expiry_s = MSG_NEVER_EXPIRES,
		.wall_ms = 1700000000000 + (int64_t)n};
	struct msg *m;

	if (size > sizeof(payload))
		size = sizeof(payload);
	if ((size_t)len < size)
		memset(payload + len, '.', size - (size_t)len);
	s.payload_len = (uint32_t)((size_t)len < size ? size : (size_t)len);
	m = msg_new(&s);
	if (!m)
		abort();
	return m;
}

/* Commits `count` messages that go on from r->sent, of the class that pick() says. */
static inline int rig_commit(struct rig *r, size_t count, enum msg_class (*pick)(uint64_t n), size_t size)
{
	static struct msg *msgs[RIG_BATCH_MAX];
	int err;

	for (size_t i = 0; i < count; i++) {
		uint64_t n = r->sent + 1 + i;

		msgs[i] = rig_msg(n, pick ? pick(n) : MSG_TELEMETRY, size);
	}
	err = queue_commit(r->queue, msgs, count, r->now);
	for (size_t i = 0; i < count; i++)
		msg_unref(msgs[i]);
	if (err == 0)
		r->sent += count;
	return err;
}

static inline uint64_t rig_number(const struct msg *m)
{
	uint64_t n = 0;

	return sscanf((const char *)msg_payload(m), "{\"n\":%" SCNu64 "}", &n) == 1 ? n : 0;
}

/* All that a reader gives, through each(); the number of records, or -errno. */
static inline int64_t rig_read(
	const char *dir, uint64_t after, void (*each)(void *ctx, const struct store_record *rec), void *ctx)
{
	struct store_reader *reader;
	struct store_record recs[100];
	int64_t total = 0;
	int n = store_reader_open(&reader, dir);

	if (n < 0)
		return n;
	while ((n = store_read(reader, after, recs, COUNT(recs))) > 0)
		for (int i = 0; i < n; i++, total++) {
			if (each)
				each(ctx, &recs[i]);
			after = recs[i].seq;
		}
	store_reader_close(reader);
	return n < 0 ? n : total;
}

#endif
