/* SPDX-License-Identifier: MIT */
/* The writer thread. It sleeps on its mailbox, gathers what comes into a batch, and commits the batch when it is full,
 * when its time is up, or when nobody else seems to come. While it is in a commit the next batch piles up in the
 * mailbox, so batches grow with the cost of a flush and nobody waits for the disk but the writer. A commit that fails
 * leaves the batch where it is: nothing of it is acknowledged, and it is tried again. */
#include "base/log.h"
#include "store/store_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LINGER_US = 200,        /* without a newcomer for so long, senders that wait are not kept waiting */
	ACK_US = 50 * 1000,     /* cursors ride along with the next commit, or are saved after this */
	SCRUB_US = 1000 * 1000, /* after a start the blocks are looked at, so many bytes a time */
	SCRUB_BYTES = 512 * 1024,
	SWEEP_US = 10 * 1000 * 1000, /* history that has become too old is dropped this often */
	SPARE_US = 1000 * 1000,      /* a queue that is full for the sake of others looks whether they are gone */
	RETRY_US = 100 * 1000,
	RETRY_MAX_US = 2 * 1000 * 1000,
	FAREWELLS = 5,  /* tries to commit the last batch of a stop */
	MEND_AFTER = 3, /* failures in a row before the files are opened again */
	TAKE = 256,
};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* --- the writer: gathering ---------------------------------------------------------------------------------------- */

/* Somebody waits for the acknowledgement of this one. */
static bool is_urgent(const struct msg *m)
{
	return m->qos > 0 && (m->origin == MSG_FROM_CLIENT || m->origin == MSG_FROM_BRIDGE);
}

static bool is_full(const struct batch *b)
{
	return b->count == b->cap || b->released_count == b->cap || b->bytes >= b->bytes_cap;
}

static void gather_one(struct batch *b, const struct letter *l, int64_t now_us)
{
	struct msg *m = l->ptr;

	if (b->count == 0)
		b->first_us = now_us;
	b->last_us = now_us;
	b->msgs[b->count] = m;
	b->from[b->count++] = (struct origin){l->num, l->val};
	b->bytes += msg_bytes(m);
	b->urgent += is_urgent(m);
}

static void gather_release(struct batch *b, const struct letter *l, int64_t now_us)
{
	if (b->count == 0)
		b->first_us = now_us;
	b->last_us = now_us;
	b->released[b->released_count] = (uintptr_t)l->ptr;
	b->released_from[b->released_count++] = (struct origin){l->num, l->val};
	b->urgent++;
}

/* --- the writer: committing --------------------------------------------------------------------------------------- */

static struct queue_time queue_now(struct store *s)
{
	return trust_now(&s->trust);
}

static void publish_figures(struct store *s)
{
	struct queue_stats q;
	struct figures *f = &s->figures;

	queue_stats(s->queue, &q);
	atomic_store(&f->first_seq, q.first_seq);
	atomic_store(&f->last_seq, q.last_seq);
	atomic_store(&f->commits, q.commits);
	atomic_store(&f->evicted, q.evicted);
	atomic_store(&f->thinned, q.thinned);
	atomic_store(&f->disk_bytes, (uint64_t)q.disk_bytes);
	atomic_store(&f->oldest_wall_ms, (uint64_t)q.oldest_wall_ms);
	atomic_store(&s->full, q.full);
}

static void collect_acks(struct store *s)
{
	atomic_store(&s->ack_pending, false); /* before the numbers are read: a later one posts again */
	for (size_t i = 0; s->queue && i < s->ups.count; i++)
		queue_acknowledge(s->queue, i, atomic_load(&s->ups.acked[i]));
}

static void trouble(struct store *s, int error)
{
	char sentence[300];
	const char *what = error == -ENOSPC                      ? "there is no room on the disk"
			   : error == -EBUSY                     ? "a reader holds back the write-ahead log"
			   : error == -EROFS || error == -EACCES ? "the disk may not be written"
								 : "the disk fails";

	atomic_fetch_add(&s->figures.failures, 1);
	if (s->troubled)
		return;
	snprintf(sentence, sizeof(sentence),
		"%s: nothing is acknowledged, what comes waits in memory (store.memory_bytes) (%s)", what,
		error == -EIO && s->queue ? queue_text(s->queue) : strerror(-error));
	log_error("store state=trouble %s; next try in %d ms", sentence, RETRY_US / 1000);
	s->troubled = true;
	if (s->events.trouble)
		s->events.trouble(s->events.ctx, sentence);
}

static void trouble_over(struct store *s)
{
	s->failures = 0;
	if (!s->troubled)
		return;
	s->troubled = false;
	log_info("store state=ok; the disk takes records again");
	if (s->events.trouble)
		s->events.trouble(s->events.ctx, NULL);
}

void writer_failed(struct store *s, int error)
{
	int64_t wait = RETRY_US, now_us = clock_mono_us(s->clock);

	trouble(s, error);
	for (unsigned i = 0; i < s->failures && wait < RETRY_MAX_US; i++)
		wait *= 2;
	s->failures++;
	wait = least(wait, RETRY_MAX_US);
	s->retry_us = now_us + wait;
	if (!s->queue)
		return;
	if (error == -EBADMSG || (error == -EIO && s->failures % MEND_AFTER == 0)) {
		int r = queue_mend(s->queue, error == -EBADMSG, queue_now(s));

		if (r < 0)
			log_error("store mend=failed error=%d; next try in %lld ms", -r, (long long)(wait / 1000));
		else
			s->retry_us = now_us;
	}
}

static void signal_source(struct store_source *src)
{
	uint64_t one = 1;

	/* A write of 1 to a counter that is at most 1 does not fail. */
	if (!atomic_exchange(&src->signalled, true) && write(src->event_fd, &one, sizeof(one)) < 0)
		atomic_store(&src->signalled, false);
}

static void settle_one(struct store *s, const struct origin *from)
{
	struct store_source *src = atomic_load_explicit(&s->sources[from->source], memory_order_relaxed);

	if (from->ticket > atomic_load_explicit(&src->committed, memory_order_relaxed))
		atomic_store_explicit(&src->committed, from->ticket, memory_order_release);
	atomic_store_explicit(&src->waits, true, memory_order_relaxed);
}

/* Tells the sources how far they are: messages and releases share the tickets of a source. */
static void settle(struct store *s)
{
	struct batch *b = &s->batch;
	unsigned n = atomic_load(&s->source_count);

	for (size_t i = 0; i < b->count; i++) {
		settle_one(s, &b->from[i]);
		msg_unref(b->msgs[i]);
	}
	for (size_t i = 0; i < b->released_count; i++)
		settle_one(s, &b->released_from[i]);
	atomic_fetch_sub(&s->waiting, b->count);
	atomic_fetch_sub(&s->waiting_bytes, b->bytes);
	atomic_fetch_add(&s->figures.records, b->count);
	b->urgent_before = b->urgent;
	b->count = b->released_count = b->bytes = b->urgent = 0;
	for (unsigned i = 0; i < n; i++) {
		struct store_source *src = atomic_load(&s->sources[i]);

		if (atomic_load(&src->waits) && atomic_exchange(&src->waits, false))
			signal_source(src);
	}
}

int writer_open_queue(struct store *s)
{
	struct queue_opts o = {
		.dir = s->opts.dir,
		.sync = s->opts.durability == STORE_POWER,
		.preallocate = s->opts.preallocate,
		.refuse = s->opts.on_full == STORE_REFUSE,
		.max_bytes = s->opts.max_bytes,
		.spare_bytes = (int64_t)(s->memory + s->memory / 2), /* what is in memory must still fit */
		.keep_free = s->opts.keep_free,
		.keep_ms = s->opts.keep_ms,
		.keep_bytes = s->opts.keep_bytes,
		.event_topic = s->opts.event_topic,
		.thin = s->thin,
		.thin_count = s->opts.thin.count,
	};
	struct queue_clock known;
	/* Whether the clock is right is seen when it is known what the log holds. */
	struct queue_time opening = {
		.mono_ms = clock_mono_ms(s->clock), .wall_ms = clock_wall_ms(s->clock), .boot = s->trust.boot};
	int r = queue_open(&s->queue, &o, (const char *const *)s->ups.names, s->ups.count, opening);

	if (r < 0)
		return r;
	queue_clock(s->queue, &known);
	trust_recall(&s->trust, &known);
	s->restamping = true;
	for (size_t i = 0; i < s->ups.count; i++)
		atomic_store(&s->ups.acked[i], queue_cursor(s->queue, i));
	publish_figures(s);
	return 0;
}

static int commit(struct store *s)
{
	bool news = s->batch.count > 0;
	int r = s->queue ? 0 : writer_open_queue(s);

	if (r == 0) {
		collect_acks(s);
		queue_forget(s->queue, s->batch.released, s->batch.released_count);
		r = queue_commit(s->queue, s->batch.msgs, s->batch.count, queue_now(s));
	}
	if (r < 0) {
		writer_failed(s, r);
		return r;
	}
	trouble_over(s);
	publish_figures(s);
	settle(s);
	s->restamping |= queue_restamping(s->queue);
	s->acked_us = s->swept_us = clock_mono_us(s->clock);
	if (news && s->events.committed)
		s->events.committed(s->events.ctx, atomic_load(&s->figures.last_seq));
	return 0;
}

/* Who asked sleeps, so both sides of the list are ours. Not by letter: those wait behind a batch that the disk does not
 * take. */
static void change_upstreams(struct store *s)
{
	struct change *c = atomic_exchange(&s->change, NULL);
	uint64_t one = 1;

	if (!c)
		return;
	collect_acks(s);
	c->result = s->queue ? queue_set_upstreams(s->queue, (const char *const *)c->fresh->names, c->fresh->count) : 0;
	if (c->result == 0)
		s->ups = *c->fresh;
	for (size_t i = 0; s->queue && i < s->ups.count; i++)
		atomic_store(&s->ups.acked[i], queue_cursor(s->queue, i));
	if (write(c->done_fd, &one, sizeof(one)) < 0)
		abort(); /* its counter is 0 */
}

static void take_letter(struct store *s, const struct letter *l, int64_t now_us)
{
	switch ((enum letter_kind)l->kind) {
	case LETTER_APPEND: gather_one(&s->batch, l, now_us); break;
	case LETTER_RELEASE: gather_release(&s->batch, l, now_us); break;
	case LETTER_WAKE: break;
	}
}

static void gather(struct store *s, int64_t now_us)
{
	struct letter letters[TAKE];
	struct batch *b = &s->batch;

	/* Letters are taken as far as there is room for all of them: a batch may pass its bytes by one take. */
	while (!is_full(b)) {
		size_t used = b->count > b->released_count ? b->count : b->released_count;
		size_t room = b->cap - used, n = mailbox_take(&s->inbox, letters, room < TAKE ? room : TAKE);

		for (size_t i = 0; i < n; i++)
			take_letter(s, &letters[i], now_us);
		if (n == 0)
			break;
	}
}

/* --- the writer: when --------------------------------------------------------------------------------------------- */

static int64_t batch_due_us(const struct store *s)
{
	const struct batch *b = &s->batch;
	int64_t due = b->first_us + s->opts.commit_ms * 1000;

	if (is_full(b))
		return 0;
	if (b->urgent == 0)
		return due;
	/* A sender alone, one message at a time: there is nobody to wait for. */
	return least(due, b->last_us + (b->urgent > 1 || b->urgent_before > 1 ? LINGER_US : 0));
}

/* When the next commit is due; INT64_MAX: not before something comes. */
static int64_t due_us(const struct store *s)
{
	int64_t due = INT64_MAX;

	if (s->batch.count + s->batch.released_count > 0)
		due = batch_due_us(s);
	if (atomic_load(&s->ack_pending))
		due = least(due, s->acked_us + ACK_US);
	if (s->queue && queue_unsaved(s->queue))
		due = least(due, s->acked_us);
	if (s->opts.keep_free > 0 && s->queue &&
		atomic_load(&s->full)) /* nobody else can say that there is room again */
		due = least(due, s->acked_us + SPARE_US);
	if (s->opts.keep_ms > 0 && s->queue)
		due = least(due, s->swept_us + SWEEP_US);
	return s->failures > 0 ? s->retry_us : due;
}

static void sleep_until(struct store *s, int64_t due, int64_t now_us)
{
	struct pollfd p = {.fd = mailbox_fd(&s->inbox), .events = POLLIN};
	int64_t us = due - now_us;
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	/* A full batch that cannot be committed leaves letters in the mailbox: they must not wake us. */
	if (ppoll(is_full(&s->batch) ? NULL : &p, is_full(&s->batch) ? 0 : 1, due == INT64_MAX ? NULL : &t, NULL) < 0 &&
		errno != EINTR)
		abort(); /* a descriptor and a time of our own */
}

/* The last batch: more tries for a disk that is slow to come back would keep the gateway from stopping. */
static void say_farewell(struct store *s)
{
	for (int i = 0; i < FAREWELLS; i++) {
		int64_t now_us = clock_mono_us(s->clock);

		gather(s, now_us);
		if (commit(s) == 0 && mailbox_waiting(&s->inbox) == 0)
			return;
		if (s->failures > 0)
			sleep_until(s, now_us + RETRY_US, now_us);
		else
			i = -1; /* it works, and there is more */
	}
	log_error("store stop=unclean lost=%zu; these were never acknowledged", (size_t)atomic_load(&s->waiting));
}

static void scrub(struct store *s, int64_t now_us)
{
	int r = s->queue ? queue_scrub(s->queue, SCRUB_BYTES) : 0;

	s->scrub_us = r == QUEUE_SCRUBBED ? INT64_MAX : now_us + SCRUB_US;
	if (r < 0)
		writer_failed(s, r);
}

/* A block of it, between two commits. */
static void replay(struct store *s)
{
	uint64_t before = s->replay.count;
	int r = s->queue ? queue_replay(s->queue, &s->replay) : -EIO;

	atomic_store(&s->replayed, s->replay.count);
	if (s->replay.count > before) {
		publish_figures(s);
		if (s->events.committed)
			s->events.committed(s->events.ctx, atomic_load(&s->figures.last_seq));
	}
	if (r == 0)
		return;
	if (r < 0 && r != -ENOSPC) {
		writer_failed(s, r); /* and goes on where it was */
		return;
	}
	log_info("store replay=%s records=%llu%s", r == QUEUE_REPLAYED ? "done" : "ended",
		(unsigned long long)s->replay.count, r == -ENOSPC ? "; there is no room for more" : "");
	atomic_store(&s->replaying, false);
	atomic_store(&s->replay_taken, false);
}

/* A window of it, between two commits. */
static void restamp(struct store *s)
{
	int r = s->queue ? queue_restamp(s->queue) : QUEUE_RESTAMPED;

	s->restamping = r == 0;
	if (r == -ENOSPC)
		log_warn("store restamp=waits; there is no room for it, the next start tries again");
	else if (r < 0)
		writer_failed(s, r);
}

void *writer_run(void *arg)
{
	struct store *s = arg;

	pthread_setname_np(pthread_self(), "store");
	owner_take(&s->owner);
	for (;;) {
		int64_t now_us = clock_mono_us(s->clock), due;

		gather(s, now_us);
		change_upstreams(s);
		if (atomic_load(&s->stopping)) /* after the letters: the one that wakes us for it may be among them */
			break;
		due = due_us(s);
		if (due <= now_us)
			(void)commit(s); /* a failure is in s->failures, and told */
		if (s->failures == 0 && atomic_load(&s->replaying))
			replay(s);
		else if (s->failures == 0 && s->restamping)
			restamp(s);
		else if (due <= now_us)
			continue;
		else if (s->scrub_us <= now_us)
			scrub(s, now_us);
		else
			sleep_until(s, least(due, s->scrub_us), now_us);
	}
	say_farewell(s);
	return NULL;
}
