/* SPDX-License-Identifier: MIT */
/* The writer thread. It sleeps on its mailbox, gathers what comes into a batch, and commits the batch when it is full,
 * when its time is up, or when nobody else seems to come. While it is in a commit the next batch piles up in the
 * mailbox, so batches grow with the cost of a flush and nobody waits for the disk but the writer. A commit that fails
 * leaves the batch where it is: nothing of it is acknowledged, and it is tried again. */
#include "store/store.h"

#include "base/log.h"
#include "base/mailbox.h"
#include "base/owner.h"
#include "store/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LINGER_US = 200,        /* without a newcomer for so long, senders that wait are not kept waiting */
	ACK_US = 50 * 1000,     /* cursors ride along with the next commit, or are saved after this */
	SCRUB_US = 1000 * 1000, /* after a start the blocks are looked at, so many bytes a time */
	SCRUB_BYTES = 512 * 1024,
	SWEEP_US = 10 * 1000 * 1000, /* history that has become too old is dropped this often */
	RETRY_US = 100 * 1000,
	RETRY_MAX_US = 2 * 1000 * 1000,
	FAREWELLS = 5,  /* tries to commit the last batch of a stop */
	MEND_AFTER = 3, /* failures in a row before the files are opened again */
	TAKE = 256,
	LETTER_BYTES = 256, /* of memory_bytes for one place in the mailbox */
};

enum letter_kind { LETTER_APPEND, LETTER_WAKE, LETTER_UPSTREAMS };

/* Owner: the appending thread; what is atomic is the writer's to set. */
struct store_source {
	struct store *store;
	unsigned number;
	uint64_t ticket; /* given out last */
	int event_fd;
	atomic_uint_fast64_t committed;
	atomic_bool signalled; /* event_fd is readable */
	atomic_bool starved;   /* was told BUSY or FULL */
	atomic_bool gone;
};

struct origin {
	unsigned source;
	uint64_t ticket;
};

struct batch {
	struct msg **msgs;
	struct origin *from;
	size_t count, cap;
	size_t bytes, bytes_cap;
	size_t urgent;        /* senders wait for these */
	size_t urgent_before; /* of the batch before */
	int64_t first_us, last_us;
};

/* The upstreams, by number. */
struct roster {
	size_t count;
	char **names;
	atomic_uint_fast64_t *acked;
};

/* A letter whose sender waits. */
struct change {
	const struct roster *fresh;
	int result;
	sem_t done;
};

struct figures {
	atomic_uint_fast64_t first_seq, last_seq, commits, records, evicted, failures, oldest_wall_ms, disk_bytes;
};

struct store {
	struct owner owner; /* the writer thread, from store_open() on */
	struct store_opts opts;
	struct store_events events;
	const struct clock *clock;
	pthread_t thread;
	bool started;
	int dir_fd; /* locked: one weir for a directory */

	/* any thread */
	struct mailbox inbox;
	size_t memory, largest;
	atomic_size_t waiting_bytes, waiting;
	atomic_bool full, stopping, ack_pending;
	atomic_uint_fast64_t refused;
	struct figures figures;
	_Atomic(struct store_source *) sources[STORE_SOURCES];
	atomic_uint source_count;
	struct roster ups; /* changed by the thread that acknowledges, while the writer waits for nothing */

	/* the writer */
	struct queue *queue; /* NULL: could not be opened yet */
	struct batch batch;
	unsigned failures;                              /* in a row */
	int64_t retry_us, acked_us, swept_us, scrub_us; /* scrub_us INT64_MAX: all was looked at */
	bool troubled;
};

/* --- sources -------------------------------------------------------------------------------------------------------- */

static struct store_source *reusable(struct store *s)
{
	for (unsigned i = 0; i < atomic_load(&s->source_count); i++) {
		struct store_source *src = atomic_load(&s->sources[i]);

		if (atomic_load(&src->gone) && atomic_load(&src->committed) == src->ticket)
			return src;
	}
	return NULL;
}

int store_source_new(struct store_source **out, struct store *s)
{
	struct store_source *src = reusable(s);
	unsigned n = atomic_load(&s->source_count);

	if (src) {
		store_source_committed(src);
		atomic_store(&src->gone, false);
		*out = src;
		return 0;
	}
	if (n == STORE_SOURCES)
		return -ENOSPC;
	src = calloc(1, sizeof(*src));
	if (!src)
		return -ENOMEM;
	src->store = s;
	src->number = n;
	src->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (src->event_fd < 0) {
		int r = -errno;

		free(src);
		return r;
	}
	atomic_store(&s->sources[n], src);
	atomic_store(&s->source_count, n + 1);
	*out = src;
	return 0;
}

/* The writer may be about to signal it: it stays until store_close(), or until it is used again. */
void store_source_free(struct store_source *src)
{
	if (src)
		atomic_store(&src->gone, true);
}

int store_source_fd(const struct store_source *src)
{
	return src->event_fd;
}

uint64_t store_source_committed(struct store_source *src)
{
	uint64_t ignored;

	/* In this order: a commit after the read signals again. */
	if (atomic_exchange(&src->signalled, false) && read(src->event_fd, &ignored, sizeof(ignored)) < 0)
		ignored = 0; /* EAGAIN: the write of the signal is still to come */
	return atomic_load(&src->committed);
}

static void signal_source(struct store_source *src)
{
	uint64_t one = 1;

	/* A write of 1 to a counter that is at most 1 does not fail. */
	if (!atomic_exchange(&src->signalled, true) && write(src->event_fd, &one, sizeof(one)) < 0)
		atomic_store(&src->signalled, false);
}

static int post(struct store_source *src, struct msg *m)
{
	struct store *s = src->store;
	size_t bytes = msg_bytes(m), before = atomic_fetch_add(&s->waiting_bytes, bytes);
	struct letter l = {LETTER_APPEND, src->number, src->ticket + 1, m};

	/* A message larger than all of the memory passes alone. */
	if ((before == 0 || before + bytes <= s->memory) && mailbox_post(&s->inbox, l) == 0) {
		atomic_fetch_add_explicit(&s->waiting, 1, memory_order_relaxed);
		return 0;
	}
	atomic_fetch_sub(&s->waiting_bytes, bytes);
	return STORE_BUSY;
}

int store_append(struct store_source *src, struct msg *m, uint64_t *ticket)
{
	struct store *s = src->store;
	int r;

	if (msg_bytes(m) > s->largest)
		return -EMSGSIZE;
	msg_ref(m);
	r = atomic_load(&s->full) ? STORE_FULL : post(src, m);
	if (r) {
		/* The writer looks at starved after it has made room: one of us sees the other. */
		atomic_store(&src->starved, true);
		r = atomic_load(&s->full) ? STORE_FULL : post(src, m);
	}
	if (r) {
		msg_unref(m);
		if (r == STORE_FULL)
			atomic_fetch_add(&s->refused, 1);
		return r;
	}
	*ticket = ++src->ticket;
	return 0;
}

/* --- any thread ------------------------------------------------------------------------------------------------------ */

static void wake(struct store *s)
{
	/* A mailbox that is full wakes the writer as well. */
	(void)mailbox_post(&s->inbox, (struct letter){.kind = LETTER_WAKE});
}

int store_acknowledge(struct store *s, size_t upstream, uint64_t seq)
{
	uint64_t before;

	if (upstream >= s->ups.count)
		return -EINVAL;
	before = atomic_load(&s->ups.acked[upstream]);
	while (before < seq && !atomic_compare_exchange_weak(&s->ups.acked[upstream], &before, seq))
		;
	if (before < seq && !atomic_exchange(&s->ack_pending, true))
		wake(s);
	return 0;
}

uint64_t store_cursor(struct store *s, size_t upstream)
{
	return upstream < s->ups.count ? atomic_load(&s->ups.acked[upstream]) : 0;
}

void store_stats(struct store *s, struct store_stats *out)
{
	struct figures *f = &s->figures;

	*out = (struct store_stats){
		.first_seq = atomic_load(&f->first_seq),
		.last_seq = atomic_load(&f->last_seq),
		.commits = atomic_load(&f->commits),
		.records = atomic_load(&f->records),
		.waiting = atomic_load(&s->waiting),
		.waiting_bytes = atomic_load(&s->waiting_bytes),
		.evicted = atomic_load(&f->evicted),
		.refused = atomic_load(&s->refused),
		.failures = atomic_load(&f->failures),
		.disk_bytes = (int64_t)atomic_load(&f->disk_bytes),
		.oldest_wall_ms = (int64_t)atomic_load(&f->oldest_wall_ms),
	};
}

/* --- the writer: gathering --------------------------------------------------------------------------------------------- */

/* Somebody waits for the acknowledgement of this one. */
static bool is_urgent(const struct msg *m)
{
	return m->qos > 0 && (m->origin == MSG_FROM_CLIENT || m->origin == MSG_FROM_BRIDGE);
}

static bool is_full(const struct batch *b)
{
	return b->count == b->cap || b->bytes >= b->bytes_cap;
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

/* --- the writer: committing -------------------------------------------------------------------------------------------- */

static struct queue_time queue_now(const struct store *s)
{
	return (struct queue_time){clock_mono_ms(s->clock), clock_wall_ms(s->clock)};
}

static void publish_figures(struct store *s)
{
	struct queue_stats q;
	struct figures *f = &s->figures;
	bool full;

	queue_stats(s->queue, &q);
	atomic_store(&f->first_seq, q.first_seq);
	atomic_store(&f->last_seq, q.last_seq);
	atomic_store(&f->commits, q.commits);
	atomic_store(&f->evicted, q.evicted);
	atomic_store(&f->disk_bytes, (uint64_t)q.disk_bytes);
	atomic_store(&f->oldest_wall_ms, (uint64_t)q.oldest_wall_ms);
	/* What is in memory must still fit when no more is let in. */
	full = s->opts.on_full == STORE_REFUSE && q.free_bytes < (int64_t)(s->memory + s->memory / 2);
	atomic_store(&s->full, full);
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

static void failed(struct store *s, int error, int64_t now_us)
{
	int64_t wait = RETRY_US;

	trouble(s, error);
	for (unsigned i = 0; i < s->failures && wait < RETRY_MAX_US; i++)
		wait *= 2;
	s->failures++;
	s->retry_us = now_us + (wait < RETRY_MAX_US ? wait : RETRY_MAX_US);
	if (!s->queue)
		return;
	if (error == -EBADMSG || (error == -EIO && s->failures % MEND_AFTER == 0)) {
		int r = queue_mend(s->queue, error == -EBADMSG, queue_now(s));

		if (r < 0)
			log_error("store mend=failed error=%d; next try in %d ms", -r, (int)(wait / 1000));
		else
			s->retry_us = now_us;
	}
}

/* Tells the sources how far they are; tickets ascend for each of them. */
static void settle(struct store *s)
{
	struct batch *b = &s->batch;
	unsigned n = atomic_load(&s->source_count);

	for (size_t i = 0; i < b->count; i++) {
		struct store_source *src = atomic_load_explicit(&s->sources[b->from[i].source], memory_order_relaxed);

		atomic_store_explicit(&src->committed, b->from[i].ticket, memory_order_release);
		atomic_store_explicit(&src->starved, true, memory_order_relaxed);
		msg_unref(b->msgs[i]);
	}
	atomic_fetch_sub(&s->waiting, b->count);
	atomic_fetch_sub(&s->waiting_bytes, b->bytes);
	atomic_fetch_add(&s->figures.records, b->count);
	b->urgent_before = b->urgent;
	b->count = b->bytes = b->urgent = 0;
	for (unsigned i = 0; i < n; i++) {
		struct store_source *src = atomic_load(&s->sources[i]);

		if (atomic_load(&src->starved) && atomic_exchange(&src->starved, false))
			signal_source(src);
	}
}

static int open_queue(struct store *s)
{
	struct queue_opts o = {
		.dir = s->opts.dir,
		.sync = s->opts.durability == STORE_POWER,
		.preallocate = s->opts.preallocate,
		.refuse = s->opts.on_full == STORE_REFUSE,
		.max_bytes = s->opts.max_bytes,
		.keep_ms = s->opts.keep_ms,
		.keep_bytes = s->opts.keep_bytes,
		.event_topic = s->opts.event_topic,
	};
	int r = queue_open(&s->queue, &o, (const char *const *)s->ups.names, s->ups.count, queue_now(s));

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->ups.count; i++)
		atomic_store(&s->ups.acked[i], queue_cursor(s->queue, i));
	publish_figures(s);
	return 0;
}

static int commit(struct store *s, int64_t now_us)
{
	bool news = s->batch.count > 0;
	int r = s->queue ? 0 : open_queue(s);

	if (r == 0) {
		collect_acks(s);
		r = queue_commit(s->queue, s->batch.msgs, s->batch.count, queue_now(s));
	}
	if (r < 0) {
		failed(s, r, now_us);
		return r;
	}
	trouble_over(s);
	publish_figures(s);
	settle(s);
	s->acked_us = s->swept_us = clock_mono_us(s->clock);
	if (news && s->events.committed)
		s->events.committed(s->events.ctx, atomic_load(&s->figures.last_seq));
	return 0;
}

/* --- upstreams -------------------------------------------------------------------------------------------------- */

static void roster_fini(struct roster *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->names[i]);
	free(r->names);
	free(r->acked);
	*r = (struct roster){0};
}

static int roster_init(struct roster *r, const char *const *names, size_t count)
{
	*r = (struct roster){0};
	r->names = calloc(count ? count : 1, sizeof(*r->names));
	r->acked = calloc(count ? count : 1, sizeof(*r->acked));
	while (r->names && r->acked && r->count < count && (r->names[r->count] = strdup(names[r->count])))
		r->count++;
	if (r->names && r->acked && r->count == count)
		return 0;
	roster_fini(r);
	return -ENOMEM;
}

int store_set_upstreams(struct store *s, const char *const *upstreams, size_t upstream_count)
{
	struct roster fresh, old = s->ups;
	struct change c = {.fresh = &fresh};
	int r = roster_init(&fresh, upstreams, upstream_count);

	if (r < 0)
		return r;
	sem_init(&c.done, 0, 0);
	/* A mailbox that is full empties with the next commit. */
	while ((r = mailbox_post(&s->inbox, (struct letter){.kind = LETTER_UPSTREAMS, .ptr = &c})) == MAILBOX_FULL)
		poll(NULL, 0, 10);
	while (r == 0 && sem_wait(&c.done) < 0 && errno == EINTR)
		;
	sem_destroy(&c.done);
	if (r == 0)
		r = c.result;
	roster_fini(r < 0 ? &fresh : &old);
	return r;
}

/* On the writer: the sender sleeps, so both sides of the list are ours. */
static void change_upstreams(struct store *s, struct change *c)
{
	collect_acks(s);
	c->result = s->queue ? queue_set_upstreams(s->queue, (const char *const *)c->fresh->names, c->fresh->count) : 0;
	if (c->result == 0)
		s->ups = *c->fresh;
	for (size_t i = 0; s->queue && i < s->ups.count; i++)
		atomic_store(&s->ups.acked[i], queue_cursor(s->queue, i));
	sem_post(&c->done);
}

static void take_letter(struct store *s, const struct letter *l, int64_t now_us)
{
	switch ((enum letter_kind)l->kind) {
	case LETTER_APPEND: gather_one(&s->batch, l, now_us); break;
	case LETTER_UPSTREAMS: change_upstreams(s, l->ptr); break;
	case LETTER_WAKE: break;
	}
}

static void gather(struct store *s, int64_t now_us)
{
	struct letter letters[TAKE];
	struct batch *b = &s->batch;

	/* Letters are taken as far as there is room for all of them: a batch may pass its bytes by one take. */
	while (!is_full(b)) {
		size_t room = b->cap - b->count, n = mailbox_take(&s->inbox, letters, room < TAKE ? room : TAKE);

		for (size_t i = 0; i < n; i++)
			take_letter(s, &letters[i], now_us);
		if (n == 0)
			break;
	}
}

/* --- the writer: when ---------------------------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

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

	if (s->batch.count > 0)
		due = batch_due_us(s);
	if (atomic_load(&s->ack_pending))
		due = least(due, s->acked_us + ACK_US);
	if (s->queue && queue_unsaved(s->queue))
		due = least(due, s->acked_us);
	if (s->opts.keep_ms > 0 && s->queue)
		due = least(due, s->swept_us + SWEEP_US);
	if (!s->queue)
		due = least(due, s->retry_us);
	return s->failures > 0 && due < s->retry_us ? s->retry_us : due;
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
		if (commit(s, now_us) == 0 && mailbox_waiting(&s->inbox) == 0)
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
		failed(s, r, now_us);
}

static void *run(void *arg)
{
	struct store *s = arg;

	owner_take(&s->owner);
	while (!atomic_load(&s->stopping)) {
		int64_t now_us = clock_mono_us(s->clock), due;

		gather(s, now_us);
		due = due_us(s);
		if (due <= now_us)
			(void)commit(s, now_us); /* a failure is in s->failures, and told */
		else if (s->scrub_us <= now_us)
			scrub(s, now_us);
		else
			sleep_until(s, least(due, s->scrub_us), now_us);
	}
	say_farewell(s);
	return NULL;
}

/* --- opening and closing -------------------------------------------------------------------------------------------------- */

static int lock_dir(struct store *s)
{
	if (mkdir(s->opts.dir, 0750) < 0 && errno != EEXIST)
		return -errno;
	s->dir_fd = open(s->opts.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return -errno;
	if (flock(s->dir_fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("store dir=%s error=\"another weir uses it\"", s->opts.dir);
		return -EBUSY;
	}
	return 0;
}

static int size_memory(struct store *s)
{
	size_t on_disk = (size_t)s->opts.max_bytes / 8, letters;
	int r;

	s->memory = (size_t)s->opts.memory_bytes < on_disk ? (size_t)s->opts.memory_bytes : on_disk;
	s->largest = queue_batch_bytes(s->opts.max_bytes);
	s->batch.bytes_cap = s->largest;
	s->batch.cap = (size_t)s->opts.batch;
	s->batch.msgs = calloc(s->batch.cap, sizeof(*s->batch.msgs));
	s->batch.from = calloc(s->batch.cap, sizeof(*s->batch.from));
	letters = s->memory / LETTER_BYTES;
	r = mailbox_init(&s->inbox, letters < 256 ? 256 : letters);
	return r == 0 && (!s->batch.msgs || !s->batch.from) ? -ENOMEM : r;
}

static void free_sources(struct store *s)
{
	for (unsigned i = 0; i < atomic_load(&s->source_count); i++) {
		struct store_source *src = atomic_load(&s->sources[i]);

		close(src->event_fd);
		free(src);
	}
}

static void drop_letters(struct store *s)
{
	struct letter l;

	while (s->inbox.ring && mailbox_take(&s->inbox, &l, 1) == 1)
		if (l.kind == LETTER_APPEND)
			msg_unref(l.ptr);
	for (size_t i = 0; i < s->batch.count; i++)
		msg_unref(s->batch.msgs[i]);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	atomic_store(&s->stopping, true);
	if (s->started) {
		wake(s);
		pthread_join(s->thread, NULL);
	}
	queue_close(s->queue);
	drop_letters(s);
	free_sources(s);
	mailbox_fini(&s->inbox);
	roster_fini(&s->ups);
	free(s->batch.msgs);
	free(s->batch.from);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free((char *)s->opts.dir);
	free((char *)s->opts.event_topic);
	free(s);
}

/* A disk in trouble is waited for; anything else is for whoever starts us. */
static int open_or_wait(struct store *s)
{
	int r = open_queue(s);

	if (r != -ENOSPC && r != -EIO)
		return r;
	failed(s, r, clock_mono_us(s->clock));
	return 0;
}

static int start(struct store *s)
{
	int r = -pthread_create(&s->thread, NULL, run, s);

	s->started = r == 0;
	return r;
}

int store_open(struct store **out, const struct store_opts *opts, const char *const *upstreams, size_t upstream_count,
	const struct store_events *events, const struct clock *clock)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->events = *events;
	s->clock = clock;
	s->dir_fd = -1;
	s->opts.dir = strdup(opts->dir);
	s->opts.event_topic = strdup(opts->event_topic ? opts->event_topic : "weir/event");
	r = s->opts.dir && s->opts.event_topic ? size_memory(s) : -ENOMEM;
	if (r == 0)
		r = roster_init(&s->ups, upstreams, upstream_count);
	if (r == 0)
		r = lock_dir(s);
	if (r == 0)
		r = open_or_wait(s);
	if (r == 0)
		r = start(s);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*out = s;
	return 0;
}
