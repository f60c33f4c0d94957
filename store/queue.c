/* SPDX-License-Identifier: MIT */
/* Within one transaction drops come before appends, so that freed pages are used again at once and are written to the
 * WAL only once. What the queue knows in memory (struct state) is a copy that is put back when the transaction
 * fails. */
#include "store/queue.h"

#include "base/log.h"
#include "store/block.h"
#include "store/db.h"
#include "store/seqlimit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	WAL_MIN = 64 * 1024,
	WAL_MAX = 4 * 1024 * 1024,
	WAL_HOLD = 4,            /* times the checkpoint size: held back by a reader, the WAL grows to here */
	INDEX_BYTES = 64 * 1024, /* queue.db-shm */
	DROP_BYTES = 4 * 1024 * 1024,
	DROP_ROWS = 1024, /* of one transaction */
	CHECK_MS = 1000,
	SPARE_PAGES = 16, /* inner pages, the free list, marks */
	NAME_MAX_LEN = 255,
};

struct upstream {
	char *mark; /* "cursor/NAME" */
	uint64_t acked, saved;
};

/* What a transaction changes. */
struct state {
	uint64_t next_seq;
	struct db_block head; /* the oldest block; only when !empty */
	bool empty;
	bool more; /* settled blocks are left to drop */
	uint64_t evicted;
};

struct queue {
	struct db *db;
	struct queue_opts opts;
	char *dir, path[PATH_MAX];
	struct block *block;
	struct upstream *ups;
	size_t up_count;
	uint64_t seq_limit;
	struct state now;
	struct db_size size;
	uint64_t commits, checkpoints, salvaged, lost;
};

/* --- bounds -------------------------------------------------------------------------------------------------------- */

static int64_t wal_bytes(int64_t max_bytes)
{
	int64_t n = max_bytes / 16;

	return n < WAL_MIN ? WAL_MIN : n > WAL_MAX ? WAL_MAX : n;
}

size_t queue_batch_bytes(int64_t max_bytes)
{
	return (size_t)wal_bytes(max_bytes) * 3 / 4;
}

static int64_t free_pages(const struct db_size *s)
{
	return s->max_pages - s->pages + s->free_pages;
}

/* What msgs take at most: each block ends in a page of its own. */
static int64_t pages_for(struct msg *const *msgs, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += msg_bytes(msgs[i]);
	return (int64_t)(bytes / (DB_PAGE - 4) + bytes / BLOCK_BYTES + count / BLOCK_RECORDS) + SPARE_PAGES;
}

/* --- settled records ------------------------------------------------------------------------------------------------ */

/* Every upstream has acknowledged up to here. */
static uint64_t settled(const struct queue *q)
{
	uint64_t least = q->now.next_seq - 1;

	for (size_t i = 0; i < q->up_count; i++)
		if (q->ups[i].acked < least)
			least = q->ups[i].acked;
	return least;
}

static bool is_history(const struct queue *q, const struct db_block *b, int64_t wall_ms)
{
	int64_t used = (q->size.pages - q->size.free_pages) * DB_PAGE;

	if (q->opts.keep_ms > 0 && b->to_ms < wall_ms - q->opts.keep_ms)
		return false;
	if (q->opts.keep_bytes > 0 && used > q->opts.keep_bytes)
		return false;
	return q->opts.keep_ms > 0 || q->opts.keep_bytes > 0;
}

static int find_head(struct queue *q, uint64_t after)
{
	int r = db_block_head(q->db, after, &q->now.head);

	q->now.empty = r == DB_END;
	return r == DB_END ? 0 : r;
}

/* Drops whole blocks from the old end, a bounded number of them: history too when `pressed`. */
static int drop_settled(struct queue *q, int64_t wall_ms, bool pressed)
{
	uint64_t limit = settled(q), to = 0;
	size_t bytes = 0, rows = 0;
	int r = 0;

	q->now.more = false;
	while (r == 0 && !q->now.empty && q->now.head.last <= limit &&
		(pressed || !is_history(q, &q->now.head, wall_ms))) {
		if (bytes > DROP_BYTES || rows == DROP_ROWS) {
			q->now.more = true;
			break;
		}
		to = q->now.head.last;
		bytes += q->now.head.data.len;
		rows++;
		r = find_head(q, to);
	}
	return r == 0 && to > 0 ? db_block_drop(q->db, 0, to) : r;
}

/* --- marks ------------------------------------------------------------------------------------------------------------ */

static int save_cursors(struct queue *q)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < q->up_count; i++)
		if (q->ups[i].acked != q->ups[i].saved)
			r = db_mark_set(q->db, q->ups[i].mark, q->ups[i].acked);
	return r;
}

static bool cursors_moved(const struct queue *q)
{
	for (size_t i = 0; i < q->up_count; i++)
		if (q->ups[i].acked != q->ups[i].saved)
			return true;
	return false;
}

/* The counter stands in the last row of the log; the mark is needed when that row goes. */
static int save_counter(struct queue *q, const struct state *before)
{
	bool dropped = before->empty != q->now.empty || before->head.last != q->now.head.last;

	return dropped ? db_mark_set(q->db, "next", q->now.next_seq) : 0;
}

/* --- appending ---------------------------------------------------------------------------------------------------------- */

static struct block_record record_of(const struct msg *m, uint64_t seq, struct queue_time now)
{
	return (struct block_record){
		.seq = seq,
		.topic = {(const uint8_t *)msg_topic(m), m->topic_len},
		.props = {msg_props(m), m->props_len},
		.payload = {msg_payload(m), m->payload_len},
		.wall_ms = m->wall_ms,
		.taken_wall_ms = now.wall_ms - (now.mono_ms - m->taken_ms),
		.origin_id = m->origin_id,
		.expiry_s = m->expiry_s,
		.qos = m->qos,
		.class = m->class,
		.origin = m->origin,
		.retain = m->retain,
	};
}

static int put_block(struct queue *q)
{
	const struct block_head *h = &q->block->head;
	struct db_block b = {h->first, h->last, 0, h->from_ms, h->to_ms, {q->block->bytes, q->block->len}};
	int r;

	if (q->block->records == 0)
		return 0;
	for (int c = 0; c < 4; c++)
		b.classes |= (uint64_t)h->count[c] << 16 * c;
	r = db_block_put(q->db, &b);
	if (r == 0 && q->now.empty) {
		q->now.head = b;
		q->now.empty = false;
	}
	block_reset(q->block);
	return r;
}

static int append(struct queue *q, struct msg *const *msgs, size_t count, struct queue_time now)
{
	int r = 0;

	block_reset(q->block);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct block_record rec = record_of(msgs[i], q->now.next_seq, now);

		r = block_add(q->block, &rec, rec.seq);
		if (r == BLOCK_FULL) {
			r = put_block(q);
			if (r == 0)
				r = block_add(q->block, &rec, rec.seq);
		}
		q->now.next_seq++;
	}
	return r == 0 ? put_block(q) : r;
}

/* --- one transaction ------------------------------------------------------------------------------------------------------ */

static int make_room(struct queue *q, int64_t pages, struct queue_time now)
{
	int r = db_size(q->db, &q->size);

	while (r == 0 && free_pages(&q->size) < pages) {
		uint64_t before = q->now.head.last;
		bool was_empty = q->now.empty;

		r = drop_settled(q, now.wall_ms, true);
		if (r == 0)
			r = db_size(q->db, &q->size);
		if (was_empty || (!q->now.empty && q->now.head.last == before))
			return -ENOSPC;
	}
	return r;
}

static int change(struct queue *q, struct msg *const *msgs, size_t count, struct queue_time now)
{
	struct state before = q->now;
	int r = drop_settled(q, now.wall_ms, false);

	if (r == 0 && count > 0)
		r = make_room(q, pages_for(msgs, count), now);
	if (r == 0)
		r = save_cursors(q);
	if (r == 0)
		r = append(q, msgs, count, now);
	return r == 0 ? save_counter(q, &before) : r;
}

static int reach(struct queue *q, uint64_t seq)
{
	int r;

	if (seq < q->seq_limit)
		return 0;
	r = seqlimit_write(q->dir, seq + SEQLIMIT_STEP);
	if (r == 0)
		q->seq_limit = seq + SEQLIMIT_STEP;
	return r;
}

/* A reader that stays in its transaction holds back the WAL: past its bound we wait for the reader. */
static int check_wal(struct queue *q)
{
	int64_t most = wal_bytes(q->opts.max_bytes) * (WAL_HOLD - 1);
	int r = 0;

	if (q->size.wal_frames * (DB_PAGE + 24) > most)
		r = db_checkpoint(q->db, true);
	if (r == 0)
		r = db_size(q->db, &q->size);
	return r == 0 && q->size.wal_frames * (DB_PAGE + 24) > most ? -EBUSY : r;
}

int queue_commit(struct queue *q, struct msg *const *msgs, size_t count, struct queue_time now)
{
	struct state before = q->now;
	int r = q->db ? check_wal(q) : -EIO;

	if (r == 0)
		r = reach(q, q->now.next_seq + count);
	if (r == 0)
		r = db_begin(q->db);
	if (r < 0)
		return r;
	r = change(q, msgs, count, now);
	if (r == 0)
		r = db_commit(q->db);
	if (r < 0) {
		db_rollback(q->db);
		q->now = before;
		return r;
	}
	for (size_t i = 0; i < q->up_count; i++)
		q->ups[i].saved = q->ups[i].acked;
	q->commits++;
	/* The commit stands whatever becomes of the checkpoint, which is tried again after the next one. */
	r = db_checkpoint(q->db, false);
	if (r < 0)
		log_warn("store checkpoint=failed error=%d; the next commit tries again", -r);
	db_size(q->db, &q->size);
	return 0;
}

const char *queue_text(const struct queue *q)
{
	return db_text(q->db);
}

/* --- cursors ------------------------------------------------------------------------------------------------------------ */

void queue_acknowledge(struct queue *q, size_t upstream, uint64_t seq)
{
	if (upstream < q->up_count && seq > q->ups[upstream].acked && seq < q->now.next_seq)
		q->ups[upstream].acked = seq;
}

uint64_t queue_cursor(const struct queue *q, size_t upstream)
{
	return upstream < q->up_count ? q->ups[upstream].acked : 0;
}

bool queue_unsaved(const struct queue *q)
{
	return q->now.more || cursors_moved(q);
}

void queue_stats(const struct queue *q, struct queue_stats *out)
{
	*out = (struct queue_stats){
		.first_seq = q->now.empty ? q->now.next_seq : q->now.head.first,
		.last_seq = q->now.next_seq - 1,
		.evicted = q->now.evicted,
		.salvaged = q->salvaged,
		.lost = q->lost,
		.commits = q->commits,
		.checkpoints = q->checkpoints,
		.disk_bytes = q->size.pages * DB_PAGE + q->size.wal_frames * (DB_PAGE + 24),
		.free_bytes = free_pages(&q->size) * DB_PAGE,
		.oldest_wall_ms = q->now.empty ? 0 : q->now.head.from_ms,
	};
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

static int load_counter(struct queue *q)
{
	struct db_block tail;
	uint64_t mark = 0;
	int r = db_mark_get(q->db, "next", &mark);

	if (r < 0)
		return r;
	/* A file that has never counted: new, or what it counted is gone. */
	q->now.next_seq = mark ? mark : q->seq_limit ? q->seq_limit : 1;
	r = db_block_tail(q->db, &tail);
	if (r == 0 && tail.last >= q->now.next_seq)
		q->now.next_seq = tail.last + 1;
	if (r < 0)
		return r;
	r = find_head(q, 0);
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

	if (r < 0)
		return r;
	r = marks(q);
	if (r == 0)
		r = db_commit(q->db);
	if (r < 0)
		db_rollback(q->db);
	return r;
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
	return r < 0 ? r : db_mark_set(q->db, "clean", 0);
}

static int attach(struct queue *q)
{
	int64_t wal = wal_bytes(q->opts.max_bytes);
	struct db_opts o = {q->opts.sync, q->opts.preallocate, q->opts.max_bytes - WAL_HOLD * wal - INDEX_BYTES, wal};
	int r = db_open(&q->db, q->path, &o);

	if (r == 0)
		r = within(q, load_all);
	return r < 0 ? r : db_size(q->db, &q->size);
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
	r = within(q, save_cursors);
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
	free(q);
}

int queue_mend(struct queue *q, struct queue_time now)
{
	(void)now;
	db_close(q->db);
	q->db = NULL;
	return attach(q);
}

int queue_open(struct queue **out, const struct queue_opts *opts, const char *const *upstreams, size_t count,
	struct queue_time now)
{
	struct queue *q = calloc(1, sizeof(*q));
	int r = q ? block_new(&q->block) : -ENOMEM;

	(void)now;
	if (r == 0) {
		q->opts = *opts;
		q->dir = strdup(opts->dir);
		r = q->dir ? make_upstreams(&q->ups, upstreams, count) : -ENOMEM;
		q->up_count = r == 0 ? count : 0;
	}
	if (r == 0 && snprintf(q->path, sizeof(q->path), "%s/queue.db", q->dir) >= (int)sizeof(q->path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = seqlimit_read(q->dir, &q->seq_limit);
	if (r == 0)
		r = attach(q);
	if (r < 0) {
		log_error("store file=%s error=%d reason=\"%s\"", opts->dir, -r, q ? db_text(q->db) : "no memory");
		dispose(q);
		return r;
	}
	*out = q;
	return 0;
}

void queue_close(struct queue *q)
{
	if (q && q->db && db_begin(q->db) == 0) {
		int r = save_cursors(q);

		if (r == 0)
			r = db_mark_set(q->db, "clean", 1);
		if (r == 0)
			r = db_commit(q->db);
		if (r == 0)
			r = db_checkpoint(q->db, true);
		else
			db_rollback(q->db);
		if (r < 0)
			log_warn("store close=unclean error=%d; the next start checks the file", -r);
	}
	dispose(q);
}
