/* SPDX-License-Identifier: MIT */
/* Two gathers: one is filled while the writer commits the other. Each goes to the writer and comes back in a letter, so
 * nothing is shared but figures; the descriptor of the mailbox that they come back in is what wakes the broker. A mailbox
 * is readable exactly while letters wait, and the broker looks at what is committed only after it took them: no commit
 * can come between the two and be slept over. */
#include "store/ledger.h"

#include "base/log.h"
#include "store/ledger_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
	LETTERS = 4,      /* two gathers and the end are never more */
	ENTRY_BYTES = 16, /* beside its bytes, on the disk */
	PAGE = 4096,
	FOLIO_PAGES = 2,  /* that a folio leaves half empty */
	BATCH_PAGES = 16, /* of a commit, beside its folios: dead bits, inner pages */
};

static void count(atomic_uint_fast64_t *figure, uint64_t by)
{
	/* One thread counts, others only look. */
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + by, memory_order_relaxed);
}

/* --- putting and dropping ---------------------------------------------------------------------------------------- */

/* Bytes on the disk that so many bytes of entries take at most. */
static int64_t disk_need(size_t entries, size_t bytes)
{
	size_t raw = bytes + entries * ENTRY_BYTES;
	size_t folios = raw / (FOLIO_BYTES / 2) + entries / FOLIO_ENTRIES + 1;

	return (int64_t)(raw + raw / 64 + (folios * FOLIO_PAGES + BATCH_PAGES) * PAGE);
}

static bool is_full(const struct ledger_file *f, size_t len)
{
	const struct gather *g = f->now;
	int64_t need = disk_need(g->live + 1, g->live_bytes + len) + (int64_t)f->out_bytes;

	return need > atomic_load_explicit(&f->figures.room_bytes, memory_order_relaxed);
}

/* An entry larger than all of the memory passes alone. */
static bool is_busy(const struct ledger_file *f, size_t len)
{
	size_t waiting = gather_cost(f->now) + f->out_cost;

	return waiting > 0 && waiting + len + sizeof(struct gathered) > (size_t)f->opts.memory_bytes;
}

static int put(void *ctx, const struct span *parts, size_t part_count, uint64_t *number)
{
	struct ledger_file *f = ctx;
	size_t len = 0;
	int r;

	owner_check(&f->owner);
	for (size_t i = 0; i < part_count; i++)
		len += parts[i].len;
	if (len > INT32_MAX)
		return -EMSGSIZE;
	if (is_busy(f, len))
		return LEDGER_BUSY;
	if (is_full(f, len)) {
		count(&f->figures.full, 1);
		return LEDGER_FULL;
	}
	r = gather_put(f->now, parts, part_count, len);
	if (r < 0)
		return r;
	*number = f->next++;
	count(&f->figures.puts, 1);
	return 0;
}

static void drop(void *ctx, uint64_t number)
{
	struct ledger_file *f = ctx;
	size_t before = f->now->live;

	owner_check(&f->owner);
	if (gather_drop(f->now, number) < 0) {
		log_error("ledger drop=unnoted number=%llu reason=\"no memory\"; a restart brings it back",
			(unsigned long long)number);
		return;
	}
	count(&f->figures.drops, 1);
	count(&f->figures.elided, before - f->now->live);
}

/* --- commits ----------------------------------------------------------------------------------------------------- */

static uint64_t ticket(void *ctx)
{
	const struct ledger_file *f = ctx;

	return f->handed + f->now->touched;
}

static void take_back(struct ledger_file *f, struct gather *g)
{
	f->committed = g->ticket;
	gather_reset(g, 0);
	f->idle = g;
	f->out_bytes = f->out_cost = 0;
}

static uint64_t committed(void *ctx)
{
	struct ledger_file *f = ctx;
	struct letter l;

	owner_check(&f->owner);
	while (mailbox_take(&f->done, &l, 1) > 0)
		take_back(f, l.ptr);
	return f->committed;
}

static int wake_fd(void *ctx)
{
	return mailbox_fd(&((struct ledger_file *)ctx)->done);
}

/* What nothing of needs the disk is as good as committed: its turn comes back at once. */
static int hand_over(struct ledger_file *f)
{
	struct gather *g = f->now;
	struct mailbox *to = gather_is_empty(g) ? &f->done : &f->inbox;

	g->ticket = f->handed + 1;
	return mailbox_post(to, (struct letter){.kind = LETTER_COMMIT, .ptr = g});
}

static void turn_over(void *ctx)
{
	struct ledger_file *f = ctx;
	struct gather *g = f->now;

	owner_check(&f->owner);
	if (!f->idle && mailbox_waiting(&f->done) > 0)
		committed(f);
	atomic_store_explicit(&f->figures.waiting_bytes, gather_cost(g) + f->out_cost, memory_order_relaxed);
	if (!f->idle || !g->touched || hand_over(f) != 0)
		return; /* it stays, and the next turn tries again */
	f->handed++;
	f->out_cost = gather_cost(g);
	f->out_bytes = (size_t)disk_need(g->live, g->live_bytes);
	f->now = f->idle;
	f->now->first = f->next;
	f->idle = NULL;
}

/* --- replay ------------------------------------------------------------------------------------------------------ */

static int replay(void *ctx, int (*each)(void *arg, uint64_t number, struct span bytes), void *arg)
{
	struct ledger_file *f = ctx;
	int r = f->started ? -EALREADY : keeper_replay(f->keeper, each, arg, clock_wall_ms(f->clock));

	if (r != 0)
		return r;
	owner_take(&f->owner);
	f->next = keeper_next(f->keeper);
	f->now->first = f->next;
	ledger_writer_figures(f);
	r = -pthread_create(&f->thread, NULL, ledger_writer, f);
	f->started = r == 0;
	return r;
}

struct ledger ledger_seam(struct ledger_file *f)
{
	static const struct ledger_ops ops = {replay, put, drop, ticket, committed, wake_fd, turn_over};

	return (struct ledger){&ops, f};
}

/* --- opening and closing ----------------------------------------------------------------------------------------- */

/* A file of its own: the queue may live in the same directory, and has locked that. */
static int lock_ledger(struct ledger_file *f)
{
	char path[PATH_MAX];
	int r = 0;

	if (snprintf(path, sizeof(path), "%s/broker.lock", f->opts.dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	f->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (f->lock_fd < 0 || flock(f->lock_fd, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (r < 0)
		log_error("ledger dir=%s error=%d reason=\"%s\"", f->opts.dir, -r,
			r == -EBUSY ? "another weir uses it" : strerror(-r));
	return r;
}

static int make_parts(struct ledger_file *f)
{
	int r = f->opts.dir ? mailbox_init(&f->inbox, LETTERS) : -ENOMEM;

	f->now = &f->gathers[0];
	f->idle = &f->gathers[1];
	f->next = 1;
	return r == 0 ? mailbox_init(&f->done, LETTERS) : r;
}

int ledger_open(struct ledger_file **out, const struct ledger_opts *opts, const struct ledger_events *events,
	const struct clock *clock)
{
	struct ledger_file *f = calloc(1, sizeof(*f));
	struct keeper_opts o = {opts->dir, opts->sync, opts->preallocate, opts->max_bytes};
	int r;

	if (!f)
		return -ENOMEM;
	f->opts = *opts;
	f->opts.dir = strdup(opts->dir);
	f->events = *events;
	f->clock = clock;
	f->lock_fd = -1;
	r = make_parts(f);
	if (r == 0)
		r = lock_ledger(f);
	if (r == 0)
		r = keeper_open(&f->keeper, &o, clock_wall_ms(clock));
	if (r < 0) {
		ledger_close(f);
		return r;
	}
	*out = f;
	return 0;
}

/* The last gather goes behind the one that the writer may still have. */
static void stop(struct ledger_file *f)
{
	struct letter last = {.kind = LETTER_COMMIT, .ptr = f->now};

	f->now->ticket = f->handed + 1;
	if (!gather_is_empty(f->now) && mailbox_post(&f->inbox, last) != 0)
		log_error("ledger stop=unclean; what was gathered last is not committed");
	atomic_store(&f->stopping, true);
	/* The mailbox has room: with the two gathers there are three letters at most. */
	if (mailbox_post(&f->inbox, (struct letter){.kind = LETTER_STOP}) == 0)
		pthread_join(f->thread, NULL);
}

void ledger_close(struct ledger_file *f)
{
	if (!f)
		return;
	if (f->started)
		stop(f);
	keeper_close(f->keeper);
	mailbox_fini(&f->inbox);
	mailbox_fini(&f->done);
	gather_fini(&f->gathers[0]);
	gather_fini(&f->gathers[1]);
	if (f->lock_fd >= 0)
		close(f->lock_fd);
	free((char *)f->opts.dir);
	free(f);
}

void ledger_stats(struct ledger_file *f, struct ledger_stats *out)
{
	struct ledger_figures *g = &f->figures;

	*out = (struct ledger_stats){
		.entries = atomic_load(&g->entries),
		.live_bytes = atomic_load(&g->live_bytes),
		.folios = atomic_load(&g->folios),
		.commits = atomic_load(&g->commits),
		.failures = atomic_load(&g->failures),
		.puts = atomic_load(&g->puts),
		.drops = atomic_load(&g->drops),
		.elided = atomic_load(&g->elided),
		.full = atomic_load(&g->full),
		.salvaged = atomic_load(&g->salvaged),
		.lost = atomic_load(&g->lost),
		.waiting_bytes = atomic_load(&g->waiting_bytes),
		.disk_bytes = (int64_t)atomic_load(&g->disk_bytes),
		.troubled = atomic_load(&g->troubled),
	};
}
