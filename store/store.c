/* SPDX-License-Identifier: MIT */
/* What other threads call: they post to the writer's mailbox, or read atomics that it sets. */
#include "store/store.h"

#include "base/log.h"
#include "store/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LETTER_BYTES = 256, /* of memory_bytes for one place in the mailbox */
	CHANGE_MS = 5000,   /* for a writer that has a disk in trouble, or a file to be salvaged */
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

	/* In this order. Cleared before it is read, the mark could be set again in between by a commit whose write the
	 * read then swallows: set, with nothing to be read, it would keep every later commit from signalling. A write
	 * that comes after the read wakes once for nothing. */
	if (read(src->event_fd, &ignored, sizeof(ignored)) < 0)
		ignored = 0; /* EAGAIN: nothing was signalled, or its write is still to come */
	(void)atomic_exchange(
		&src->signalled, false); /* reads it, too: what was committed before it was set is seen below */
	return atomic_load(&src->committed);
}

static int post(struct store_source *src, struct msg *m)
{
	struct store *s = src->store;
	size_t bytes = msg_bytes(m), before = atomic_fetch_add(&s->waiting_bytes, bytes);
	struct letter l = {LETTER_APPEND, src->number, src->ticket + 1, m};

	/* Counted before the writer can have it, and count it off. */
	atomic_fetch_add_explicit(&s->waiting, 1, memory_order_relaxed);

	/* A message larger than all of the memory passes alone. */
	if ((before == 0 || before + bytes <= s->memory) && mailbox_post(&s->inbox, l) == 0)
		return 0;
	atomic_fetch_sub_explicit(&s->waiting, 1, memory_order_relaxed);
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
		/* The writer looks at waits after it has made room: one of us sees the other. */
		atomic_store(&src->waits, true);
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

int store_release(struct store_source *src, uint64_t once, uint64_t *ticket)
{
	struct letter l = {LETTER_RELEASE, src->number, src->ticket + 1, (void *)(uintptr_t)once};

	_Static_assert(sizeof(uintptr_t) == sizeof(once), "a key fits a pointer");
	if (mailbox_post(&src->store->inbox, l) != 0) {
		atomic_store(&src->waits, true);
		if (mailbox_post(&src->store->inbox, l) != 0)
			return STORE_BUSY;
	}
	*ticket = ++src->ticket;
	return 0;
}

const uint64_t *store_once(const struct store *s, size_t *count)
{
	*count = s->once_count;
	return s->once;
}

/* --- any thread --------------------------------------------------------------------------------------------------- */

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

int store_replay(struct store *s, size_t upstream, int64_t from_ms, int64_t to_ms)
{
	if (upstream >= s->ups.count || from_ms >= to_ms)
		return -EINVAL;
	if (atomic_exchange(&s->replay_taken, true))
		return -EBUSY;
	s->replay = (struct queue_replay){
		.from_ms = from_ms, .to_ms = to_ms, .target = store_upstream_id(s->ups.names[upstream])};
	atomic_store(&s->replayed, 0);
	atomic_store(&s->replaying, true);
	wake(s);
	return 0;
}

bool store_replaying(struct store *s, uint64_t *count)
{
	*count = atomic_load(&s->replayed);
	return atomic_load(&s->replay_taken);
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
		.thinned = atomic_load(&f->thinned),
		.refused = atomic_load(&s->refused),
		.failures = atomic_load(&f->failures),
		.disk_bytes = (int64_t)atomic_load(&f->disk_bytes),
		.oldest_wall_ms = (int64_t)atomic_load(&f->oldest_wall_ms),
		.troubled = atomic_load(&s->troubled),
	};
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

/* Lends c to the writer until it is done with it; one that it has not begun in time is taken back. */
static int ask_for(struct store *s, struct change *c)
{
	struct pollfd p = {.fd = c->done_fd, .events = POLLIN};
	uint64_t done;
	int r;

	atomic_store(&s->change, c);
	wake(s);
	while ((r = poll(&p, 1, CHANGE_MS)) < 0 && errno == EINTR)
		;
	if (r == 0 && atomic_exchange(&s->change, NULL) == c)
		return -EBUSY;
	while (read(c->done_fd, &done, sizeof(done)) < 0)
		if (errno != EINTR)
			abort(); /* a descriptor of our own */
	return c->result;
}

int store_set_upstreams(struct store *s, const char *const *upstreams, size_t upstream_count)
{
	struct roster fresh, old = s->ups;
	struct change c = {.fresh = &fresh, .done_fd = eventfd(0, EFD_CLOEXEC)};
	int r = c.done_fd < 0 ? -errno : roster_init(&fresh, upstreams, upstream_count);

	if (r == 0) {
		r = ask_for(s, &c);
		roster_fini(r < 0 ? &fresh : &old);
	}
	if (c.done_fd >= 0)
		close(c.done_fd);
	return r;
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */

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

static int copy_thin(struct store *s, const struct key_list *from)
{
	const struct store_thin *rules = from->items;

	s->thin = calloc(from->count > 0 ? from->count : 1, sizeof(*s->thin));
	if (!s->thin)
		return -ENOMEM;
	for (size_t i = 0; i < from->count; i++) {
		s->thin[i] = (struct thin_rule){strdup(rules[i].topics), rules[i].bucket_ms};
		if (!s->thin[i].topics)
			return -ENOMEM;
	}
	return 0;
}

static void free_thin(struct store *s)
{
	for (size_t i = 0; s->thin && i < s->opts.thin.count; i++)
		free((char *)s->thin[i].topics);
	free(s->thin);
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
	s->batch.released = calloc(s->batch.cap, sizeof(*s->batch.released));
	s->batch.released_from = calloc(s->batch.cap, sizeof(*s->batch.released_from));
	letters = s->memory / LETTER_BYTES;
	r = mailbox_init(&s->inbox, letters < 256 ? 256 : letters);
	return r == 0 && (!s->batch.msgs || !s->batch.from || !s->batch.released || !s->batch.released_from) ? -ENOMEM
													     : r;
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
	free(s->batch.released);
	free(s->batch.released_from);
	free(s->once);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free((char *)s->opts.dir);
	free((char *)s->opts.event_topic);
	free_thin(s);
	free(s);
}

/* A disk in trouble is waited for; anything else is for whoever starts us. */
static int open_or_wait(struct store *s)
{
	int r = writer_open_queue(s);

	if (r != -ENOSPC && r != -EIO)
		return r;
	writer_failed(s, r);
	return 0;
}

/* For readers on other threads, whatever becomes of the queue's own list. */
static int copy_once(struct store *s)
{
	size_t count = 0;
	const uint64_t *keys = s->queue ? queue_once(s->queue, &count) : NULL;

	if (count == 0)
		return 0;
	s->once = malloc(count * sizeof(*keys));
	if (!s->once)
		return -ENOMEM;
	memcpy(s->once, keys, count * sizeof(*keys));
	s->once_count = count;
	return 0;
}

static int start(struct store *s)
{
	int r = -pthread_create(&s->thread, NULL, writer_run, s);

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
		r = copy_thin(s, &opts->thin);
	if (r == 0)
		r = roster_init(&s->ups, upstreams, upstream_count);
	if (r == 0)
		r = lock_dir(s);
	trust_init(&s->trust, clock, (enum trust_rule)opts->clock);
	if (r == 0)
		r = open_or_wait(s);
	if (r == 0)
		r = copy_once(s);
	if (r == 0)
		r = start(s);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*out = s;
	return 0;
}
