/* SPDX-License-Identifier: MIT */
/* Two gathers: one is filled while the writer commits the other. Each goes to the writer and comes back in a letter, so
 * nothing is shared but figures; the descriptor of the mailbox that they come back in is what wakes the broker. A mailbox
 * is readable exactly while letters wait, and only committed(), whose caller acts on it, takes them: no commit is slept
 * over. */
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
	LETTERS = 16,     /* two gathers and the end, and times */
	ENTRY_BYTES = 16, /* beside its bytes, on the disk */
	PAGE = 4096,
	LINGER_US = 200,        /* for what is likely to be dropped at once */
	LINGER_MAX_US = 3000,   /* a slow disk is not waited for twice */
	LAZY_US = 1000 * 1000,  /* what nobody waits for */
	LAZY_BYTES = 64 * 1024, /* but not more of it than this */
	HABIT = 4,
	HABIT_MAX = 8,
	HABIT_LOST = -32, /* waiting did not pay: so many gathers before it is tried again */
	FOLIO_PAGES = 2,  /* that a folio leaves half empty */
	BATCH_PAGES = 16, /* of a commit, beside its folios: dead bits, inner pages */
	KEPT_BACK = 32,   /* the part of the bound that only replacements may take */
};

static void count(atomic_uint_fast64_t *figure, uint64_t by)
{
	/* One thread counts, others only look. */
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + by, memory_order_relaxed);
}

/* --- putting and dropping ---------------------------------------------------------------------------------------- */

/* Bytes on the disk that so many bytes of entries take at most. */
static int64_t disk_need(const struct gather *g)
{
	size_t raw = g->live_bytes + g->live * ENTRY_BYTES;
	size_t folios = raw / (FOLIO_BYTES / 2) + g->live / FOLIO_ENTRIES + 1;

	return (int64_t)(raw + raw / 64 + (folios * FOLIO_PAGES + BATCH_PAGES) * PAGE);
}

/* What is left on the disk, with all that waits for its commit. */
static int64_t disk_left(const struct ledger_file *f)
{
	int64_t room = atomic_load_explicit(&f->figures.room_bytes, memory_order_relaxed);

	return room - f->out_bytes - disk_need(f->now);
}

/* A part is kept back for what only replaces or moves on. */
static int room(void *ctx)
{
	struct ledger_file *f = ctx;

	if (gather_cost(f->now) + f->out_cost >= (size_t)f->opts.memory_bytes)
		return LEDGER_BUSY;
	if (disk_left(f) < atomic_load_explicit(&f->figures.max_bytes, memory_order_relaxed) / KEPT_BACK) {
		count(&f->figures.full, 1);
		return LEDGER_FULL;
	}
	return 0;
}

static int put(void *ctx, const struct span *parts, size_t part_count, uint64_t *number)
{
	struct ledger_file *f = ctx;
	size_t len = 0;
	int r;

	for (size_t i = 0; i < part_count; i++)
		len += parts[i].len;
	if (len > INT32_MAX)
		return -EMSGSIZE;
	if (disk_left(f) < (int64_t)(len + len / 64))
		return -ENOSPC;
	r = gather_put(f->now, parts, part_count, len);
	if (r < 0)
		return r;
	*number = f->next++;
	f->period_puts++;
	count(&f->figures.puts, 1);
	return 0;
}

static void drop(void *ctx, uint64_t number)
{
	struct ledger_file *f = ctx;
	size_t before = f->now->live, elided;

	if (gather_drop(f->now, number) < 0) {
		log_error("ledger drop=unnoted number=%llu reason=\"no memory\"; a restart brings it back",
			(unsigned long long)number);
		return;
	}
	elided = before - f->now->live;
	f->period_quick += f->habit >= HABIT ? elided > 0 : number >= f->last_first;
	count(&f->figures.drops, 1);
	count(&f->figures.elided, elided);
}

/* --- commits ----------------------------------------------------------------------------------------------------- */

static uint64_t ticket(void *ctx)
{
	struct ledger_file *f = ctx;

	f->now->asked = f->now->touched;
	return f->handed + f->now->touched;
}

static void take_back(struct ledger_file *f, struct gather *g)
{
	f->committed = g->ticket;
	gather_reset(g, 0);
	f->idle = g;
	f->out_cost = 0;
	f->out_bytes = 0;
}

static uint64_t committed(void *ctx)
{
	struct ledger_file *f = ctx;
	struct letter l;

	while (mailbox_take(&f->done, &l, 1) > 0) {
		if (l.kind == LETTER_COMMIT) {
			if (l.val > 0)
				f->flush_us += ((int64_t)l.val - f->flush_us) / 4;
			take_back(f, l.ptr);
		}
	}
	return f->committed;
}

static int wake_fd(void *ctx)
{
	return mailbox_fd(&((struct ledger_file *)ctx)->done);
}

/* Where what is put is mostly dropped again at once (subscribers that are there, and acknowledge), it pays to wait for
 * that a moment: then nothing of it needs the disk. Where it is not, nobody is kept waiting. While nobody waits, a drop
 * in the gather right behind counts as a sign that it would have paid. */
static void judge(struct ledger_file *f)
{
	bool waited = f->habit >= HABIT;

	if (f->period_puts > 0 && f->period_quick * 2 >= f->period_puts)
		f->habit += f->habit < HABIT_MAX;
	else if (f->period_puts > 0)
		f->habit = waited ? HABIT_LOST : f->habit - (f->habit > 0);
	f->period_puts = f->period_quick = 0;
}

/* As long as a commit takes, within reason: whoever waits at most waits twice as long for it. */
static int64_t linger_us(const struct ledger_file *f)
{
	return f->flush_us < LINGER_US ? LINGER_US : f->flush_us > LINGER_MAX_US ? LINGER_MAX_US : f->flush_us;
}

/* When what was gathered should go to the writer, if that is idle then. */
static int64_t due_us(const struct ledger_file *f)
{
	const struct gather *g = f->now;

	if (g->asked)
		return g->asked_us + (f->habit >= HABIT ? linger_us(f) : 0);
	return gather_cost(g) > LAZY_BYTES ? 0 : g->since_us + LAZY_US;
}

/* The writer wakes the loop in time. A letter whose time has passed is not waited for: it may have been taken already. */
static void arm(struct ledger_file *f, int64_t due, int64_t now_us)
{
	struct letter l = {.kind = LETTER_LATER, .val = (uint64_t)due};
	bool comes = f->armed_us > now_us && f->armed_us <= due;

	if (!comes && mailbox_post(&f->inbox, l) == 0)
		f->armed_us = due;
}

/* What nothing of needs the disk is as good as committed: it comes back at once. */
static int hand_over(struct ledger_file *f)
{
	struct gather *g = f->now;
	struct mailbox *to = gather_is_empty(g) ? &f->done : &f->inbox;
	int r;

	g->ticket = f->handed + 1;
	r = mailbox_post(to, (struct letter){.kind = LETTER_COMMIT, .ptr = g});
	if (r != 0)
		return r;
	judge(f);
	f->handed++;
	f->out_cost = gather_cost(g);
	f->out_bytes = disk_need(g);
	f->last_first = g->first;
	f->now = f->idle;
	f->now->first = f->next;
	f->idle = NULL;
	return 0;
}

/* Stamps the times of what the turn has gathered; false: there is nothing for the writer. */
static bool look_at(struct ledger_file *f, int64_t now_us)
{
	struct gather *g = f->now;

	if (!g->touched)
		return false;
	if (gather_is_empty(g) && !g->asked) {
		gather_reset(g, f->next);
		return false;
	}
	if (g->since_us == 0)
		g->since_us = now_us;
	if (g->asked && g->asked_us == 0)
		g->asked_us = now_us;
	return true;
}

static void turn_over(void *ctx)
{
	struct ledger_file *f = ctx;
	int64_t now_us, due;

	atomic_store_explicit(&f->figures.waiting_bytes, gather_cost(f->now) + f->out_cost, memory_order_relaxed);
	now_us = f->now->touched ? clock_mono_us(f->clock) : 0;
	if (!look_at(f, now_us) || !f->idle)
		return; /* the letter that comes back begins a turn */
	due = gather_is_empty(f->now) ? 0 : due_us(f);
	if (now_us < due || hand_over(f) != 0)
		arm(f, due, now_us);
}

/* --- replay ------------------------------------------------------------------------------------------------------ */

static int replay(void *ctx, int (*each)(void *arg, uint64_t number, struct span bytes), void *arg)
{
	struct ledger_file *f = ctx;
	int r = f->started ? -EALREADY : keeper_replay(f->keeper, each, arg, clock_wall_ms(f->clock));

	if (r != 0)
		return r;
	f->next = keeper_next(f->keeper);
	f->now->first = f->next;
	ledger_writer_figures(f);
	r = -pthread_create(&f->thread, NULL, ledger_writer, f);
	f->started = r == 0;
	return r;
}

struct ledger ledger_seam(struct ledger_file *f)
{
	static const struct ledger_ops ops = {replay, room, put, drop, ticket, committed, wake_fd, turn_over};

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
	f->later_us = INT64_MAX;
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
	/* The mailbox has room: the writer takes what is in it, and nothing is in it but times. */
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
		.max_bytes = atomic_load(&g->max_bytes),
		.troubled = atomic_load(&g->troubled),
	};
}
