/* SPDX-License-Identifier: MIT */
/* Blocks follow each other without a hole: the first seq of one is the last of the one before plus one, whatever was
 * evicted between them. So every hole is damage: the pages of the file are searched for blocks that fit into it, and what
 * is still missing gets a gap record. */
#include "store/salvage.h"

#include "base/log.h"
#include "store/block.h"
#include "store/carve.h"
#include "store/gap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROWS_PER_COMMIT = 256 };

struct job {
	const struct salvage_opts *opts;
	struct salvage_result *result;
	struct db *old, *new;
	struct block *block;
	struct carve *carve; /* made when there is a hole */
	const char *old_path;
	uint64_t at, committed_at; /* the last seq in the new file; 0: none yet */
	uint64_t floor;            /* every upstream has acknowledged up to here; UINT64_MAX: not known */
	unsigned rows;             /* since the last commit */
	bool damaged;              /* the old tree could not be walked from end to end */
};

/* --- files -------------------------------------------------------------------------------------------------------------- */

static int rename_in(int dir_fd, const char *from, const char *to)
{
	if (renameat(dir_fd, from, dir_fd, to) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* Files of queue.db get a name with the time. */
static int set_aside(int dir_fd, const char *const *ends, size_t count, int64_t wall_ms)
{
	char from[64], to[64], when[32];
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;
	int r = 0;

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	for (size_t i = 0; r == 0 && i < count; i++) {
		snprintf(from, sizeof(from), "queue.db%s", ends[i]);
		snprintf(to, sizeof(to), "queue-%s.db%s", when, ends[i]);
		r = rename_in(dir_fd, from, to);
	}
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	log_error("store file=queue.db%s kept_as=queue-%s.db%s error=%d", ends[count - 1], when, ends[count - 1], -r);
	return r;
}

/* The WAL first: a new database beside the old one's WAL would be filled with it. */
static int swap(int dir_fd, int64_t wall_ms)
{
	static const char *const ends[] = {"-wal", "-shm", ""};
	int r = fsync(dir_fd) < 0 ? -errno : 0; /* queue.ready is there for good */

	if (r == 0)
		r = set_aside(dir_fd, ends, 3, wall_ms);
	if (r == 0)
		r = rename_in(dir_fd, "queue.ready", "queue.db");
	return r == 0 && fsync(dir_fd) < 0 ? -errno : r;
}

static int discard(int dir_fd)
{
	static const char *const names[] = {"queue.new", "queue.new-wal", "queue.new-shm"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (unlinkat(dir_fd, names[i], 0) < 0 && errno != ENOENT)
			return -errno;
	return 0;
}

static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int salvage_resume(const char *dir, int64_t wall_ms)
{
	int fd = open_dir(dir), r;

	if (fd < 0)
		return fd;
	r = discard(fd);
	if (r == 0 && faccessat(fd, "queue.ready", F_OK, 0) == 0)
		r = swap(fd, wall_ms);
	close(fd);
	return r;
}

int salvage_stale_wal(const char *dir, int64_t wall_ms)
{
	static const char *const ends[] = {"-shm", "-wal"};
	int fd = open_dir(dir), r = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstatat(fd, "queue.db-wal", &st, 0) == 0 && st.st_size > 0)
		r = set_aside(fd, ends, 2, wall_ms);
	close(fd);
	return r;
}

/* --- the new file ------------------------------------------------------------------------------------------------------- */

static int put(struct job *j, const struct db_block *b)
{
	int r = db_block_put(j->new, b);

	j->at = b->last;
	if (r == 0 && ++j->rows == ROWS_PER_COMMIT) {
		j->rows = 0;
		r = db_commit(j->new);
		if (r == 0)
			j->committed_at = j->at;
		if (r == 0)
			r = db_checkpoint(j->new, false);
		if (r == 0)
			r = db_begin(j->new);
	}
	return r;
}

static int put_packed(struct job *j, uint64_t first, uint64_t last)
{
	const struct block_head *h = &j->block->head;
	struct db_block b = {first, last, block_classes(h), h->from_ms, h->to_ms, {j->block->bytes, j->block->len}};
	int r;

	r = put(j, &b);
	block_reset(j->block);
	return r;
}

/* count 0: not known. */
static struct block_record damage(
	struct job *j, uint8_t packed[GAP_PACKED_MAX], uint64_t first, uint64_t last, uint64_t seq, uint64_t count)
{
	struct gap g;

	gap_init(&g, GAP_DAMAGED);
	g.first = first;
	g.last = last;
	g.count = count;
	j->result->lost += count;
	j->result->unknown |= count == 0;
	return gap_record(&g, packed, seq, j->opts->topic, j->opts->wall_ms);
}

static int put_hole(struct job *j, uint64_t first, uint64_t to, bool counted)
{
	uint8_t packed[GAP_PACKED_MAX];
	struct block_record gap = damage(j, packed, first, to, to, counted ? to - first + 1 : 0);
	int r;

	block_reset(j->block);
	r = block_add(j->block, &gap, first);
	return r == 0 ? put_packed(j, first, to) : r;
}

/* --- the old file ------------------------------------------------------------------------------------------------------- */

struct tally {
	unsigned good; /* records */
	uint64_t hole; /* the first seq that is missing; 0: none */
	bool damaged;
};

static int tally(struct tally *t, const struct db_block *b)
{
	struct block_iter it;
	struct block_record rec;
	uint64_t next = b->first;
	int err = block_iter_init(&it, b->data.at, b->data.len, b->first);

	*t = (struct tally){.damaged = err == -EBADMSG};
	while (err == 0 && (err = block_next(&it, &rec)) != BLOCK_END) {
		if (err == BLOCK_DAMAGED) {
			t->damaged = true;
			err = 0;
		} else if (err == 0) {
			t->good += !rec.gap;
			if (!t->hole && rec.seq > next)
				t->hole = rec.seq - 1;
			next = rec.seq + 1;
		}
	}
	if (!t->hole && next <= b->last)
		t->hole = b->last;
	block_iter_fini(&it);
	return err == -ENOMEM ? err : 0;
}

/* Into the block that is being packed; `first` of the row moves on when it is full. */
static int add(struct job *j, const struct block_record *rec, uint64_t *first)
{
	int r = block_add(j->block, rec, *first);

	if (r != BLOCK_FULL)
		return r;
	r = put_packed(j, *first, rec->seq - 1);
	*first = rec->seq;
	return r < 0 ? r : block_add(j->block, rec, *first);
}

/* A block with damaged records: the good ones, and a gap in the first hole. */
static int put_mended(struct job *j, const struct db_block *b, const struct tally *t)
{
	struct block_iter it;
	struct block_record rec, gap;
	uint8_t packed[GAP_PACKED_MAX];
	uint64_t lost = db_block_records(b) > t->good ? db_block_records(b) - t->good : 1, first = b->first;
	int err = block_iter_init(&it, b->data.at, b->data.len, b->first);

	gap = damage(j, packed, b->first, b->last, t->hole ? t->hole : b->last, lost);
	block_reset(j->block);
	if (err == -EBADMSG)
		err = BLOCK_END;
	while (err == 0 && (err = block_next(&it, &rec)) != BLOCK_END) {
		if (err == BLOCK_DAMAGED) {
			err = 0;
			continue;
		}
		if (err == 0 && gap.gap && rec.seq > gap.seq) {
			err = add(j, &gap, &first);
			gap.gap = false;
		}
		if (err == 0)
			err = add(j, &rec, &first);
	}
	block_iter_fini(&it);
	if (err == BLOCK_END)
		err = gap.gap ? add(j, &gap, &first) : 0;
	return err ? err : put_packed(j, first, b->last);
}

/* A block that follows what is in the new file. */
static int take(struct job *j, const struct db_block *b)
{
	struct tally t;
	int r = b->first <= j->at ? 0 : tally(&t, b);

	if (r < 0 || b->first <= j->at)
		return r; /* a key out of order: a tree that is damaged says things twice */
	j->result->records += t.good;
	return t.damaged || t.good < db_block_records(b) ? put_mended(j, b, &t) : put(j, b);
}

/* Blocks that no tree leads to, for the seqs from `from` to `to`. What is below the floor is stale. */
static int take_carved(struct job *j, uint64_t from, uint64_t to)
{
	struct db_block b;
	uint64_t after = from - 1;
	int r = j->carve ? 0 : carve_new(&j->carve, j->old_path);

	while (r == 0 && (r = carve_next(j->carve, after, &b)) == 0 && b.last <= to) {
		after = b.last;
		if (b.first < from)
			continue;
		if (b.first > j->at + 1)
			r = put_hole(j, j->at + 1, b.first - 1, true);
		if (r == 0)
			r = take(j, &b);
	}
	return r == DB_END ? 0 : r;
}

/* Up to seq `to` nothing was found in the tree. */
static int bridge_hole(struct job *j, uint64_t to, bool counted)
{
	uint64_t from = j->at > 0 ? j->at + 1 : j->floor == UINT64_MAX ? 1 : j->floor + 1;
	int r;

	if (from > to)
		return 0;
	j->damaged = true;
	if (j->at == 0)
		j->at = from - 1;
	r = take_carved(j, from, to);
	return r == 0 && j->at < to ? put_hole(j, j->at + 1, to, counted) : r;
}

/* At the old end there may be history that was acknowledged, or a first block that is part of it: no hole. */
static int take_from_tree(struct job *j, const struct db_block *b)
{
	bool known = j->at > 0 || (j->floor != UINT64_MAX && b->first > j->floor + 1);
	int r = known && b->first > 0 ? bridge_hole(j, b->first - 1, true) : 0;

	return r < 0 ? r : take(j, b);
}

/* The least seq behind which the tree can be walked again; the tree is readable behind `good`. */
static uint64_t bisect(struct job *j, uint64_t bad, uint64_t good)
{
	struct db_block b;

	while (good - bad > 1) {
		uint64_t mid = bad + (good - bad) / 2;

		if (db_block_head(j->old, mid, &b) >= 0)
			good = mid;
		else
			bad = mid;
	}
	return good;
}

/* 0 with a seq to go on behind, or DB_END. */
static int skip(struct job *j, uint64_t *after)
{
	struct db_block b;

	j->damaged = true;
	for (uint64_t step = 1; *after + step <= j->opts->seq_limit; step *= 2)
		if (db_block_head(j->old, *after + step, &b) >= 0) {
			*after = bisect(j, *after + step / 2, *after + step);
			return 0;
		}
	return DB_END;
}

static int copy_blocks(struct job *j)
{
	uint64_t after = 0;

	for (;;) {
		struct db_block b;
		int r = db_block_get(j->old, after, &b);

		if (r == DB_END)
			return 0;
		if (r == 0) {
			after = b.last;
			r = take_from_tree(j, &b);
		} else if (db_block_head(j->old, after, &b) == 0 && b.last > after) {
			after = b.last; /* the bytes of this one cannot be read, the tree can */
			j->damaged = true;
			r = 0;
		} else {
			r = skip(j, &after);
			if (r == DB_END)
				return 0;
		}
		db_block_done(j->old);
		if (r < 0)
			return r;
	}
}

struct marks {
	struct job *job;
	int result;
};

static bool copy_mark(void *ctx, const char *name, uint64_t value)
{
	struct marks *m = ctx;

	if (strncmp(name, "cursor/", 7) != 0 || value >= m->job->opts->seq_limit)
		return true;
	if (value < m->job->floor)
		m->job->floor = value;
	m->result = db_mark_set(m->job->new, name, value);
	return m->result == 0;
}

static int copy_cursors(struct job *j)
{
	struct marks m = {j, 0};
	int r = db_mark_each(j->old, copy_mark, &m);

	if (r < 0) {
		log_warn("store cursors=unreadable; what is salvaged is sent again");
		j->floor = UINT64_MAX;
	}
	return m.result;
}

/* The old counter may be behind what was given out: the limit is not. A tail that may be missing is told as a gap of
 * unknown count. */
static int finish(struct job *j)
{
	struct db_block tail;
	uint64_t next = 0;
	bool sound = j->old && db_block_tail(j->old, &tail) == 0 && !j->damaged;
	int r = 0;

	if (j->old && db_mark_get(j->old, "next", &next) == 0 && sound && tail.last >= next)
		next = tail.last + 1;
	if (!sound || next == 0)
		next = j->opts->seq_limit;
	if (!sound && next > 1)
		r = bridge_hole(j, next - 1, false);
	return r == 0 ? db_mark_set(j->new, "next", next > 0 ? next : 1) : r;
}

/* --- the first page --------------------------------------------------------------------------------------------------- */

static int read_page(const char *path, uint8_t page[DB_PAGE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, page, DB_PAGE, 0);
	int r = n == DB_PAGE ? 0 : n < 0 ? -errno : -EIO;

	if (fd >= 0)
		close(fd);
	return r;
}

static int write_page(const char *path, int flags, const uint8_t page[DB_PAGE])
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0640);
	ssize_t n = fd < 0 ? -1 : pwrite(fd, page, DB_PAGE, 0);
	int r = n == DB_PAGE && fsync(fd) == 0 ? 0 : n < 0 || n == DB_PAGE ? -errno : -EIO;

	if (fd >= 0)
		close(fd);
	return r;
}

/* The first page is the same in each of our databases but for the counters: without it nothing could be read, so a new
 * one's takes its place, with no free list and the size left open. The old page is kept beside. */
static int graft(struct job *j, const char *old_path, const char *new_path)
{
	enum { SIZE = 28, FREE_LIST = 32, FREE_COUNT = 36, VALID_FOR = 92 };
	static const int zeroed[] = {SIZE, FREE_LIST, FREE_COUNT, VALID_FOR};
	uint8_t page[DB_PAGE];
	char kept[PATH_MAX];
	int r = read_page(old_path, page);

	if (r == 0 && snprintf(kept, sizeof(kept), "%s/queue-%lld.page1", j->opts->dir, (long long)j->opts->wall_ms) >=
			      (int)sizeof(kept))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = write_page(kept, O_CREAT | O_EXCL, page);
	if (r == 0)
		r = read_page(new_path, page);
	for (size_t i = 0; i < sizeof(zeroed) / sizeof(zeroed[0]); i++)
		memset(page + zeroed[i], 0, 4);
	if (r == 0)
		r = write_page(old_path, 0, page);
	log_warn("store first_page=replaced kept_as=%s error=%d", kept, -r);
	return r;
}

static void open_old(struct job *j, const char *old_path, const char *new_path)
{
	int r = db_open_damaged(&j->old, old_path);

	if (r == -EBADMSG && graft(j, old_path, new_path) == 0) {
		db_close(j->old);
		r = db_open_damaged(&j->old, old_path);
	}
	if (r == 0)
		return;
	log_error("store file=%s unreadable=\"%s\"; nothing of it is salvaged", old_path, db_text(j->old));
	db_close(j->old);
	j->old = NULL;
	j->result->unknown = true;
}

static int fill(struct job *j, const char *old_path, const char *new_path)
{
	int r = block_new(&j->block);

	if (r == 0)
		r = db_open(&j->new, new_path, &j->opts->db);
	if (r == 0)
		r = db_begin(j->new);
	if (r == 0)
		open_old(j, old_path, new_path);
	if (r == 0 && j->old)
		r = copy_cursors(j);
	if (r == 0 && j->old)
		r = copy_blocks(j);
	if (r == -ENOSPC) {
		/* The rest stays in the file that is set aside. */
		log_error("store salvage=partial; there is no room for all of it");
		j->damaged = true;
		j->at = j->committed_at;
		db_rollback(j->new);
		r = db_begin(j->new);
	}
	if (r == 0)
		r = finish(j);
	if (r == 0)
		r = db_commit(j->new);
	return r == 0 ? db_checkpoint(j->new, true) : r;
}

int salvage(const struct salvage_opts *opts, struct salvage_result *out)
{
	struct job j = {.opts = opts, .result = out, .floor = UINT64_MAX};
	char old_path[PATH_MAX], new_path[PATH_MAX];
	int dir_fd = open_dir(opts->dir), r = dir_fd < 0 ? dir_fd : discard(dir_fd);

	*out = (struct salvage_result){0};
	if (snprintf(old_path, sizeof(old_path), "%s/queue.db", opts->dir) >= (int)sizeof(old_path) ||
		snprintf(new_path, sizeof(new_path), "%s/queue.new", opts->dir) >= (int)sizeof(new_path))
		r = -ENAMETOOLONG;
	j.old_path = old_path;
	if (r == 0)
		r = fill(&j, old_path, new_path);
	db_rollback(j.new);
	db_close(j.old);
	db_close(j.new);
	block_free(j.block);
	carve_free(j.carve);
	if (r == 0)
		r = rename_in(dir_fd, "queue.new", "queue.ready");
	if (r == 0)
		r = discard(dir_fd); /* its WAL, which is empty */
	if (r == 0)
		r = swap(dir_fd, opts->wall_ms);
	if (dir_fd >= 0)
		close(dir_fd);
	log_info("store salvaged=%llu lost=%llu%s", (unsigned long long)out->records, (unsigned long long)out->lost,
		out->unknown ? " and perhaps more" : "");
	return r;
}
