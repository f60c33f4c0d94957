/* SPDX-License-Identifier: MIT */
/* Opening, closing and mending the files of the queue, and the list of its upstreams. */
#include "base/clock.h"
#include "base/log.h"
#include "store/queue_parts.h"
#include "store/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHECK_MS = 1000, NAME_MAX_LEN = 255 };

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* A commit that failed may be on the disk all the same. Nobody was told of it, and its messages will be committed again
 * with the same seqs, so it goes. */
static int drop_unconfirmed(struct queue *q, uint64_t next)
{
	return next > 0 ? db_block_drop(q->db, next, INT64_MAX) : 0;
}

/* The counter must be where the limit says: exactly after a clean end, and never past it. */
static bool is_plausible(const struct queue *q)
{
	if (q->limit.limit == 0)
		return true;
	return q->limit.clean ? q->now.next_seq == q->limit.limit : q->now.next_seq <= q->limit.limit;
}

static int load_counter(struct queue *q)
{
	struct db_block tail;
	uint64_t mark = 0, known = q->confirmed;
	int r = drop_unconfirmed(q, known);

	if (r == 0)
		r = db_mark_get(q->db, "next", &mark);
	if (r < 0)
		return r;
	/* A file that has never counted: new, or what it counted is gone. */
	q->now.next_seq = mark ? mark : q->limit.limit ? q->limit.limit : 1;
	r = db_block_tail(q->db, &tail);
	if (r == 0 && tail.last >= q->now.next_seq)
		q->now.next_seq = tail.last + 1;
	if (known > q->now.next_seq)
		q->now.next_seq = known;
	if (r < 0 || !is_plausible(q))
		return r < 0 ? r : -EBADMSG;
	r = db_mark_get(q->db, "thinned", &q->now.thinned_to);
	if (r >= 0)
		r = room_find_head(q);
	return r < 0 || mark ? r : db_mark_set(q->db, "next", q->now.next_seq);
}

static int load_cursors(struct queue *q)
{
	uint64_t oldest = q->now.empty ? q->now.next_seq : q->now.head.first;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < q->up_count; i++) {
		r = db_mark_get(q->db, q->ups[i].mark, &q->ups[i].acked);
		if (r == DB_END || q->ups[i].acked >= q->now.next_seq) {
			q->ups[i].acked = oldest - 1;
			r = db_mark_set(q->db, q->ups[i].mark, q->ups[i].acked);
		}
		q->ups[i].saved = q->ups[i].acked;
	}
	return r < 0 ? r : 0;
}

struct stray {
	const struct queue *q;
	char name[NAME_MAX_LEN + 16];
};

/* The first cursor of an upstream that is no longer configured. */
static bool is_known(void *ctx, const char *name, uint64_t value)
{
	struct stray *s = ctx;

	(void)value;
	if (strncmp(name, "cursor/", 7) != 0)
		return true;
	for (size_t i = 0; i < s->q->up_count; i++)
		if (strcmp(name, s->q->ups[i].mark) == 0)
			return true;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return false;
}

static int drop_strays(struct queue *q)
{
	for (;;) {
		struct stray s = {.q = q};
		int r = db_mark_each(q->db, is_known, &s);

		if (r < 0 || !s.name[0])
			return r;
		log_info("store upstream=%s cursor=dropped; it is no longer configured", s.name + 7);
		r = db_mark_drop(q->db, s.name);
		if (r < 0)
			return r;
	}
}

/* Runs a change of marks in a transaction of its own. */
static int within(struct queue *q, int (*marks)(struct queue *q))
{
	int r = db_begin(q->db);

	return r < 0 ? r : db_end(q->db, marks(q));
}

static int load_upstreams(struct queue *q)
{
	int r = load_cursors(q);

	return r < 0 ? r : drop_strays(q);
}

static int load_all(struct queue *q)
{
	int r = load_counter(q);

	if (r == 0)
		r = load_upstreams(q);
	if (r == 0)
		r = once_load(q, q->opened_ms);
	if (r == 0)
		r = restamp_load(q);
	return r;
}

/* All of the room is taken only where that leaves opts.keep_free; else the file grows as far as it may. */
static bool may_preallocate(const struct queue *q)
{
	struct stat st;
	int64_t has = stat(q->path, &st) == 0 ? (int64_t)st.st_blocks * 512 : 0;
	int64_t spare = room_spare(q);

	if (!q->opts.preallocate || spare == INT64_MAX || spare + has >= q->opts.max_bytes)
		return q->opts.preallocate;
	log_warn("store preallocate=no max_bytes=%lld keep_free=%lld; there is less room on the disk than both take",
		(long long)q->opts.max_bytes, (long long)q->opts.keep_free);
	return false;
}

static struct db_opts db_opts(const struct queue *q)
{
	return (struct db_opts){.sync = q->opts.sync,
		.preallocate = may_preallocate(q),
		.give_back = q->opts.keep_free > 0,
		.max_bytes = room_database_bytes(q->opts.max_bytes),
		.wal_bytes = room_wal_bytes(q->opts.max_bytes)};
}

static int attach(struct queue *q)
{
	struct db_opts o = db_opts(q);
	int r = db_open(&q->db, q->path, &o);

	/* A file that was not closed is looked through for as long as a start may take; what that does not reach is
	 * guarded by the sums of the blocks. */
	if (r == 0 && !q->limit.clean)
		r = db_check(q->db, CHECK_MS);
	if (r == 0)
		r = within(q, load_all);
	if (r == 0)
		r = room_measure(q);
	if (r == 0) {
		q->confirmed = q->now.next_seq;
		q->now.more = q->opts.refuse; /* it may be full of what can go, and nothing comes while it says so */
	}
	return r;
}

static void detach(struct queue *q)
{
	db_close(q->db);
	q->db = NULL;
	q->now = (struct state){.next_seq = 1, .empty = true, .evicted = q->now.evicted, .thinned = q->now.thinned};
}

/* The files of a damaged database are set aside, and a new one is filled from them. */
static int start_over(struct queue *q, struct queue_time now)
{
	struct salvage_opts o = {q->opts.dir, db_opts(q), q->opts.event_topic, q->limit.limit, now.wall_ms};
	struct relog_result done;
	int r;

	log_error("store file=%s state=damaged reason=\"%s\"; what can be read is salvaged", q->path, db_text(q->db));
	detach(q);
	r = salvage(&o, &done);
	q->salvaged += done.records;
	q->lost += done.lost;
	return r < 0 ? r : attach(q);
}

/* From here on the WAL counts, and so does the limit again. */
static int mark_open(struct queue *q)
{
	struct seqlimit open = {q->limit.limit + SEQLIMIT_STEP, false};

	return q->limit.clean ? seqlimit_write(q->dir, "queue", &open) : 0;
}

static int open_files(struct queue *q, struct queue_time now)
{
	int r = faccessat(AT_FDCWD, q->dir, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : salvage_resume(q->dir, now.wall_ms);

	if (r == 0)
		r = seqlimit_check(
			q->dir, "queue"); /* it is not written at every start, and must be able to be later */
	if (r == 0)
		r = seqlimit_read(q->dir, "queue", &q->limit);
	if (r == 0 && q->limit.clean)
		r = salvage_stale_wal(q->dir, now.wall_ms);
	if (r == 0)
		r = mark_open(q);
	if (r == 0)
		r = attach(q);
	if (r == -EBADMSG)
		r = start_over(q, now);
	if (q->limit.clean)
		q->limit = (struct seqlimit){q->limit.limit + SEQLIMIT_STEP, false};
	/* Made now: later there may be no room for a new file. */
	return r == 0 ? queue_reach(q, q->now.next_seq) : r;
}

static void free_upstreams(struct upstream *ups, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(ups[i].mark);
	free(ups);
}

static int make_upstreams(struct upstream **out, const char *const *names, size_t count)
{
	struct upstream *ups = calloc(count ? count : 1, sizeof(*ups));
	int r = ups ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (strlen(names[i]) > NAME_MAX_LEN)
			r = -ENAMETOOLONG;
		else if (asprintf(&ups[i].mark, "cursor/%s", names[i]) < 0) {
			ups[i].mark = NULL;
			r = -ENOMEM;
		}
	}
	if (r < 0 && ups)
		free_upstreams(ups, count);
	else
		*out = ups;
	return r;
}

int queue_set_upstreams(struct queue *q, const char *const *upstreams, size_t count)
{
	struct upstream *old = q->ups, *fresh;
	size_t old_count = q->up_count;
	int r = q->db ? make_upstreams(&fresh, upstreams, count) : -EIO;

	if (r < 0)
		return r;
	/* What was acknowledged and is not saved yet goes first: the marks are read again. */
	r = within(q, queue_save_cursors);
	q->ups = fresh;
	q->up_count = count;
	if (r == 0)
		r = within(q, load_upstreams);
	if (r < 0) {
		q->ups = old;
		q->up_count = old_count;
		old = fresh;
		old_count = count;
	}
	free_upstreams(old, old_count);
	return r;
}

static void dispose(struct queue *q)
{
	if (!q)
		return;
	db_close(q->db);
	block_free(q->block);
	if (q->ups)
		free_upstreams(q->ups, q->up_count);
	free(q->dir);
	free(q->once);
	free(q);
}

int queue_mend(struct queue *q, bool damaged, struct queue_time now)
{
	q->opened_ms = now.wall_ms;
	q->boot = now.boot;
	if (damaged && q->db)
		return start_over(q, now);
	detach(q);
	return open_files(q, now);
}

int queue_open(struct queue **out, const struct queue_opts *opts, const char *const *upstreams, size_t count,
	struct queue_time now)
{
	struct queue *q = calloc(1, sizeof(*q));
	int r = q ? block_new(&q->block) : -ENOMEM;

	if (r == 0) {
		q->opts = *opts;
		q->opened_ms = now.wall_ms;
		q->boot = now.boot;
		q->dir = strdup(opts->dir);
		q->opts.dir = q->dir;
		r = q->dir ? make_upstreams(&q->ups, upstreams, count) : -ENOMEM;
		q->up_count = r == 0 ? count : 0;
	}
	if (r == 0 && snprintf(q->path, sizeof(q->path), "%s/queue.db", q->dir) >= (int)sizeof(q->path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = open_files(q, now);
	if (r < 0) {
		log_error("store dir=%s error=%d reason=\"%s\"", opts->dir, -r, q ? db_text(q->db) : "no memory");
		dispose(q);
		return r;
	}
	*out = q;
	return 0;
}

static int close_clean(struct queue *q)
{
	struct seqlimit closed = {q->now.next_seq, true};
	int r = within(q, queue_save_cursors);

	if (r == 0)
		r = db_empty_wal(q->db);
	return r == 0 ? seqlimit_write(q->dir, "queue", &closed) : r;
}

void queue_close(struct queue *q)
{
	int r = q && q->db ? close_clean(q) : 0;

	if (r < 0)
		log_warn("store close=unclean error=%d; the next start checks the file", -r);
	dispose(q);
}
