/* SPDX-License-Identifier: MIT */
/* Within one transaction drops come before appends, so that freed pages are used again at once and are written to the
 * WAL only once. What the queue knows in memory (struct state) is a copy that is put back when the transaction
 * fails. */
#include "store/queue.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/block.h"
#include "store/db.h"
#include "store/evict.h"
#include "store/gap.h"
#include "store/salvage.h"
#include "store/seqlimit.h"

#include <errno.h>
#include <fcntl.h>
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
	uint64_t evicted_to[4]; /* no record of the class in blocks up to here */
	uint64_t gap_row;       /* the block that ends in the gap of the last eviction */
	bool pressed;           /* had to evict, and has not got much room since */
};

struct queue {
	struct db *db;
	struct queue_opts opts;
	char *dir, path[PATH_MAX];
	struct block *block;
	struct upstream *ups;
	size_t up_count;
	struct seqlimit limit;
	struct state now;
	uint64_t confirmed; /* the next seq as this process knows it; 0: the files were never open */
	struct db_size size;
	uint64_t commits, checkpoints, salvaged, lost;
	uint64_t scrubbed; /* blocks up to this seq were looked at */
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

/* What those of at least a class take at most: each block ends in a page of its own. */
static int64_t pages_for(struct msg *const *msgs, size_t count, unsigned class)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += msgs[i]->class >= class ? msg_bytes(msgs[i]) : 0;
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

static bool is_history(const struct queue *q, const struct db_block *b, size_t dropped, int64_t wall_ms)
{
	int64_t used = (q->size.pages - q->size.free_pages) * DB_PAGE - (int64_t)dropped;

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
		(pressed || !is_history(q, &q->now.head, bytes, wall_ms))) {
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

/* *first: of the block that is packed. Blocks follow each other without a hole, also where records were not let in. */
static int add(struct queue *q, const struct block_record *rec, uint64_t *first)
{
	int r = block_add(q->block, rec, *first);

	if (r != BLOCK_FULL)
		return r;
	*first = q->block->head.last + 1;
	r = put_block(q);
	return r == 0 ? block_add(q->block, rec, *first) : r;
}

/* For those that are not let in: a gap in the place of the last of them, which is where it is asked for. */
static int add_gap(struct queue *q, const struct gap *g, uint64_t *first, int64_t wall_ms)
{
	uint8_t packed[GAP_PACKED_MAX];
	struct block_record rec = {.seq = g->last,
		.topic = {(const uint8_t *)q->opts.event_topic, strlen(q->opts.event_topic)},
		.payload = {packed, gap_pack(g, packed)},
		.wall_ms = wall_ms,
		.expiry_s = MSG_NEVER_EXPIRES,
		.qos = 1,
		.class = MSG_EVENT,
		.gap = true};

	return add(q, &rec, first);
}

/* Those below `floor` are not let in: there is no room for them that a lower class has not got. */
static int append(struct queue *q, struct msg *const *msgs, size_t count, unsigned floor, struct queue_time now)
{
	struct gap g;
	uint64_t first = q->now.next_seq;
	size_t shed = 0;
	int r = 0;

	for (size_t i = 0; i < count; i++)
		shed += msgs[i]->class < floor;
	q->now.evicted += shed;
	gap_init(&g, GAP_EVICTED);
	block_reset(q->block);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct block_record rec = record_of(msgs[i], q->now.next_seq++, now);

		if (rec.class >= floor) {
			r = add(q, &rec, &first);
			continue;
		}
		gap_add(&g, rec.seq, rec.class, rec.wall_ms, rec.topic);
		if (g.count == shed)
			r = add_gap(q, &g, &first, now.wall_ms);
	}
	return r == 0 ? put_block(q) : r;
}

/* --- room -------------------------------------------------------------------------------------------------------------- */

static uint64_t greatest_cursor(const struct queue *q)
{
	uint64_t most = 0;

	for (size_t i = 0; i < q->up_count; i++)
		if (q->ups[i].acked > most)
			most = q->ups[i].acked;
	return most;
}

/* One window of a class. 0, EVICT_NONE or -errno. */
static int evict(struct queue *q, unsigned class, int64_t wall_ms)
{
	struct evict_opts o = {(enum msg_class) class, q->now.evicted_to[class], q->now.gap_row, greatest_cursor(q),
		q->opts.event_topic, wall_ms};
	struct evict_result done;
	int r = evict_window(q->db, q->block, &o, &done);

	if (r < 0)
		return r;
	q->now.evicted_to[class] = done.last;
	if (r == EVICT_NONE)
		return r;
	q->now.gap_row = done.gap_row;
	q->now.evicted += done.count;
	q->now.pressed = true;
	r = find_head(q, 0);
	return r < 0 ? r : db_size(q->db, &q->size);
}

static int drop_history(struct queue *q, int64_t pages, int64_t wall_ms)
{
	int r = 0;

	while (r == 0 && free_pages(&q->size) < pages && !q->now.empty && q->now.head.last <= settled(q)) {
		r = drop_settled(q, wall_ms, true);
		if (r == 0)
			r = db_size(q->db, &q->size);
	}
	return r;
}

/* Room for what is at or above a class, at the cost of stored records at or below it. */
static int make_room_for(struct queue *q, int64_t pages, unsigned class, int64_t wall_ms)
{
	int r = drop_history(q, pages, wall_ms);

	if (r < 0 || free_pages(&q->size) >= pages || q->opts.refuse)
		return r < 0 ? r : free_pages(&q->size) >= pages ? 0 : -ENOSPC;
	for (unsigned c = 0; c <= class; c++) {
		while (r == 0 && free_pages(&q->size) < pages)
			r = evict(q, c, wall_ms);
		if (r <= 0)
			return r;
		r = 0;
	}
	return -ENOSPC;
}

/* *floor: what is below this class is not let in. */
static int make_room(struct queue *q, struct msg *const *msgs, size_t count, unsigned *floor, int64_t wall_ms)
{
	int r = db_size(q->db, &q->size);

	*floor = 0;
	if (free_pages(&q->size) > q->size.max_pages / 2)
		q->now.pressed = false;
	if (r == 0)
		r = make_room_for(q, pages_for(msgs, count, 0), 0, wall_ms);
	while (r == -ENOSPC && !q->opts.refuse && *floor < MSG_ALARM) {
		++*floor;
		r = make_room_for(q, pages_for(msgs, count, *floor), *floor, wall_ms);
	}
	return r;
}

static void tell_pressure(const struct queue *q, const struct state *before)
{
	if (q->now.pressed && !before->pressed)
		log_warn("store state=evicting max_bytes=%lld evicted=%llu; the lowest class goes first, and gap "
			 "records "
			 "say what went",
			(long long)q->opts.max_bytes, (unsigned long long)q->now.evicted);
	if (!q->now.pressed && before->pressed)
		log_info("store state=roomy evicted=%llu", (unsigned long long)q->now.evicted);
}

/* --- one transaction ------------------------------------------------------------------------------------------------------ */

static int change(struct queue *q, struct msg *const *msgs, size_t count, struct queue_time now)
{
	struct state before = q->now;
	unsigned floor = 0;
	int r = drop_settled(q, now.wall_ms, false);

	if (r == 0 && count > 0)
		r = make_room(q, msgs, count, &floor, now.wall_ms);
	if (r == 0)
		r = save_cursors(q);
	if (r == 0)
		r = append(q, msgs, count, floor, now);
	return r == 0 ? save_counter(q, &before) : r;
}

static int reach(struct queue *q, uint64_t seq)
{
	struct seqlimit next = {seq + SEQLIMIT_STEP, false};
	int r;

	if (seq < q->limit.limit)
		return 0;
	r = seqlimit_write(q->dir, &next);
	if (r == 0)
		q->limit = next;
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
	q->confirmed = q->now.next_seq;
	q->commits++;
	tell_pressure(q, &before);
	/* The commit stands whatever becomes of the checkpoint, which is tried again after the next one. */
	r = db_checkpoint(q->db, false);
	if (r < 0)
		log_warn("store checkpoint=failed error=%d; the next commit tries again", -r);
	db_size(q->db, &q->size);
	return 0;
}

int queue_scrub(struct queue *q, size_t bytes)
{
	size_t seen = 0;
	int r = q->db ? 0 : -EIO;

	while (r == 0 && seen < bytes) {
		struct db_block b;

		r = db_block_get(q->db, q->scrubbed, &b);
		/* Blocks follow each other without a hole, but for what was dropped since. */
		if (r == 0 && b.first > q->scrubbed + 1 && q->scrubbed >= q->now.head.first)
			r = -EBADMSG;
		if (r == 0) {
			q->scrubbed = b.last;
			seen += b.data.len;
		}
		db_block_done(q->db);
	}
	if (r == DB_END)
		q->scrubbed = 0;
	return r == DB_END ? QUEUE_SCRUBBED : r;
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
	return r;
}

static struct db_opts db_opts(const struct queue *q)
{
	int64_t wal = wal_bytes(q->opts.max_bytes);

	return (struct db_opts){
		q->opts.sync, q->opts.preallocate, q->opts.max_bytes - WAL_HOLD * wal - INDEX_BYTES, wal};
}

static int64_t mono_ms(void *ctx)
{
	(void)ctx;
	return clock_mono_ms(&clock_system);
}

static int attach(struct queue *q)
{
	struct db_opts o = db_opts(q);
	int r = db_open(&q->db, q->path, &o);

	/* A file that was not closed is looked through for as long as a start may take; what that does not reach is
	 * guarded by the sums of the blocks. */
	if (r == 0 && !q->limit.clean)
		r = db_check(q->db, CHECK_MS, mono_ms, NULL);
	if (r == 0)
		r = within(q, load_all);
	if (r == 0)
		r = db_size(q->db, &q->size);
	if (r == 0)
		q->confirmed = q->now.next_seq;
	return r;
}

static void detach(struct queue *q)
{
	db_close(q->db);
	q->db = NULL;
	q->now = (struct state){.next_seq = 1, .empty = true, .evicted = q->now.evicted};
}

/* The files of a damaged database are set aside, and a new one is filled from them. */
static int start_over(struct queue *q, struct queue_time now)
{
	struct salvage_opts o = {q->opts.dir, db_opts(q), q->opts.event_topic, q->limit.limit, now.wall_ms};
	struct salvage_result done;
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

	return q->limit.clean ? seqlimit_write(q->dir, &open) : 0;
}

static int open_files(struct queue *q, struct queue_time now)
{
	int r = faccessat(AT_FDCWD, q->dir, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : salvage_resume(q->dir, now.wall_ms);

	if (r == 0)
		r = seqlimit_read(q->dir, &q->limit);
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
	return r == 0 ? reach(q, q->now.next_seq) : r;
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

int queue_mend(struct queue *q, bool damaged, struct queue_time now)
{
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
	int r = within(q, save_cursors);

	if (r == 0)
		r = db_empty_wal(q->db);
	return r == 0 ? seqlimit_write(q->dir, &closed) : r;
}

void queue_close(struct queue *q)
{
	int r = q && q->db ? close_clean(q) : 0;

	if (r < 0)
		log_warn("store close=unclean error=%d; the next start checks the file", -r);
	dispose(q);
}
