/* SPDX-License-Identifier: MIT */
/* Room in the file: what is settled goes first, history included, then stored records of the lowest classes; and when
 * only higher classes than the newcomer's are left, the newcomer is not let in. */
#include "base/log.h"
#include "store/evict.h"
#include "store/queue_parts.h"
#include "store/thin.h"
#include "store/window.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
	WAL_MIN = 64 * 1024,
	WAL_MAX = 4 * 1024 * 1024,
	WAL_HOLD = 4,            /* times the checkpoint size: held back by a reader, the WAL grows to here */
	INDEX_BYTES = 64 * 1024, /* queue.db-shm */
	DROP_BYTES = 4 * 1024 * 1024,
	DROP_ROWS = 1024,   /* of one transaction */
	SPARE_PAGES = 16,   /* inner pages, the free list, marks */
	LEAST_PAGES = 128,  /* that keep_free does not take from us */
	GIVE_PAGES = 256,   /* fewer are not given back */
	GIVE_EVERY = 64,    /* commits: all must be in the file for it */
	THIN_WINDOWS = 256, /* looked at in one transaction */
};

/* --- bounds -------------------------------------------------------------------------------------------------------- */

int64_t room_wal_bytes(int64_t max_bytes)
{
	int64_t n = max_bytes / 16;

	return n < WAL_MIN ? WAL_MIN : n > WAL_MAX ? WAL_MAX : n;
}

int64_t room_database_bytes(int64_t max_bytes)
{
	return max_bytes - WAL_HOLD * room_wal_bytes(max_bytes) - INDEX_BYTES;
}

size_t queue_batch_bytes(int64_t max_bytes)
{
	return (size_t)room_wal_bytes(max_bytes) * 3 / 4;
}

int64_t room_free_pages(const struct db_size *s)
{
	return s->max_pages - s->pages + s->free_pages;
}

int64_t room_spare(const struct queue *q)
{
	struct statvfs fs;

	if (q->opts.keep_free == 0 || statvfs(q->dir, &fs) < 0)
		return INT64_MAX;
	return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize - q->opts.keep_free;
}

/* Pages of the file that take no room on the disk. */
static int64_t hollow_pages(const struct queue *q)
{
	struct stat st;
	int64_t pages = stat(q->path, &st) == 0 ? q->size.pages - (int64_t)st.st_blocks * 512 / DB_PAGE : 0;

	return pages > 0 ? pages : 0;
}

/* The file may take as much more as is spare, less what its WAL may still take; a little it may have in any case. */
static void squeeze(struct queue *q)
{
	int64_t wal = WAL_HOLD * room_wal_bytes(q->opts.max_bytes) - q->size.wal_frames * DB_FRAME;
	int64_t spare = room_spare(q), pages;

	q->squeezed = false;
	q->hollow = 0;
	if (q->size.reserved || spare == INT64_MAX)
		return;
	q->hollow = hollow_pages(q);
	pages = q->size.pages - q->hollow + (spare > wal ? (spare - wal) / DB_PAGE : 0);
	if (pages < LEAST_PAGES)
		pages = LEAST_PAGES;
	if (pages < q->size.max_pages) {
		q->size.max_pages = pages;
		q->squeezed = true;
	}
}

int room_measure(struct queue *q)
{
	int r = db_size(q->db, &q->size);

	if (r == 0)
		squeeze(q);
	return r;
}

void room_give_back(struct queue *q)
{
	int64_t spare;
	int r;

	if (q->size.reserved || q->opts.keep_free == 0 || q->solid || q->commits % GIVE_EVERY != 0 ||
		q->size.free_pages - q->hollow < GIVE_PAGES)
		return;
	spare = room_spare(q);
	if (spare >= 0)
		return;
	r = db_checkpoint(q->db, true);
	if (r == 0)
		r = db_give_back(q->db, -spare / DB_PAGE + GIVE_PAGES);
	q->solid = r == -EOPNOTSUPP;
	if (r < 0 && r != -EBUSY)
		log_warn("store give_back=failed error=%d; what the queue does not need stays its own", -r);
	room_measure(q);
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

int room_find_head(struct queue *q)
{
	return find_head(q, 0);
}

/* Drops whole blocks from the old end, a bounded number of them: history too when `pressed`. */
int room_drop_settled(struct queue *q, int64_t wall_ms, bool pressed)
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

/* --- room --------------------------------------------------------------------------------------------------------- */

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
	return r < 0 ? r : room_measure(q);
}

static int drop_history(struct queue *q, int64_t pages, int64_t wall_ms)
{
	int r = 0;

	while (r == 0 && room_free_pages(&q->size) < pages && !q->now.empty && q->now.head.last <= settled(q)) {
		r = room_drop_settled(q, wall_ms, true);
		if (r == 0)
			r = room_measure(q);
	}
	return r;
}

/* Old readings are thinned before anything is evicted or refused: 0, THIN_END when none are left, or -errno. */
static int thin(struct queue *q, int64_t pages, int windows, int64_t wall_ms)
{
	int r = q->opts.thin_count > 0 ? 0 : THIN_END;

	for (int i = 0; r == 0 && i < windows && room_free_pages(&q->size) < pages; i++) {
		struct thin_opts o = {
			q->opts.thin, q->opts.thin_count, q->now.thinned_to, q->opts.event_topic, wall_ms};
		struct thin_result done;

		r = thin_window(q->db, q->block, &o, &done);
		q->now.thinned_to = done.last;
		q->now.thinned += done.count;
		q->now.pressed |= done.count > 0;
		if (r == 0 && done.count > 0)
			r = find_head(q, 0);
		if (r == 0)
			r = room_measure(q);
	}
	return r;
}

/* Room for what is at or above a class, at the cost of stored records at or below it. */
static int make_room_for(struct queue *q, int64_t pages, unsigned class, int64_t wall_ms)
{
	int r = drop_history(q, pages, wall_ms);

	if (r == 0)
		r = thin(q, pages, THIN_WINDOWS, wall_ms);
	if (r < 0 || room_free_pages(&q->size) >= pages)
		return r < 0 ? r : 0;
	if (q->opts.refuse)
		return -ENOSPC;
	r = 0;
	for (unsigned c = 0; r == 0 && c <= class; c++) {
		while (r == 0 && room_free_pages(&q->size) < pages)
			r = evict(q, c, wall_ms);
		if (r <= 0)
			return r;
		r = 0;
	}
	return r < 0 ? r : -ENOSPC;
}

/* With opts.refuse. */
static int64_t pages_to_spare(const struct queue *q)
{
	return q->opts.spare_bytes > 0 ? q->opts.spare_bytes / DB_PAGE + SPARE_PAGES : 0;
}

bool room_is_full(const struct queue *q)
{
	return q->opts.refuse && room_free_pages(&q->size) < pages_to_spare(q);
}

/* Records are refused before there is no room for those that are on their way. So that nobody is refused while there is
 * history, or what may be thinned, these make room a little sooner: a step with each commit, as much as the write-ahead
 * log holds, and commits go on until there is enough or nothing more to take. */
int room_make_ahead(struct queue *q, struct msg *const *msgs, size_t count, int64_t wall_ms)
{
	int64_t pages = pages_to_spare(q) * 4 / 3 + pages_for(msgs, count, 0);
	int windows = (int)(room_wal_bytes(q->opts.max_bytes) / WINDOW_BYTES);
	int r = 0;

	if (!q->opts.refuse || q->opts.spare_bytes == 0 || room_free_pages(&q->size) >= pages)
		return 0;
	if (!q->now.empty && q->now.head.last <= settled(q))
		r = room_drop_settled(q, wall_ms, true);
	if (r == 0)
		r = room_measure(q);
	if (r == 0)
		r = thin(q, pages, windows > 0 ? windows : 1, wall_ms);
	q->now.more |= r == 0 && room_free_pages(&q->size) < pages;
	return r < 0 ? r : 0;
}

/* *floor: what is below this class is not let in. */
int room_make(struct queue *q, struct msg *const *msgs, size_t count, unsigned *floor, int64_t wall_ms)
{
	int r = room_measure(q);

	*floor = 0;
	if (room_free_pages(&q->size) > q->size.max_pages / 2)
		q->now.pressed = false;
	if (r == 0)
		r = make_room_for(q, pages_for(msgs, count, 0), 0, wall_ms);
	while (r == -ENOSPC && !q->opts.refuse && *floor < MSG_ALARM) {
		++*floor;
		r = make_room_for(q, pages_for(msgs, count, *floor), *floor, wall_ms);
	}
	return r;
}
