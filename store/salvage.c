/* SPDX-License-Identifier: MIT */
/* Blocks follow each other without a hole: the first seq of one is the last of the one before plus one, whatever was
 * evicted between them. So every hole is damage, and gets a gap record. */
#include "store/salvage.h"

#include "base/log.h"
#include "store/block.h"
#include "store/gap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROWS_PER_COMMIT = 256 };

struct job {
	const struct salvage_opts *opts;
	struct salvage_result *result;
	struct db *old, *new;
	struct block *block;
	uint64_t at, committed_at; /* the last seq in the new file */
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

/* The WAL first: a new database beside the old one's WAL would be filled with it. */
static int swap(int dir_fd, int64_t wall_ms)
{
	static const char *const ends[] = {"-wal", "-shm", ""};
	char from[64], to[64], when[32];
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;
	int r = fsync(dir_fd) < 0 ? -errno : 0; /* queue.ready is there for good */

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	for (size_t i = 0; r == 0 && i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(from, sizeof(from), "queue.db%s", ends[i]);
		snprintf(to, sizeof(to), "queue-%s.db%s", when, ends[i]);
		r = rename_in(dir_fd, from, to);
	}
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (r == 0)
		r = rename_in(dir_fd, "queue.ready", "queue.db");
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	log_error("store file=queue.db state=damaged error=%d; it is kept as queue-%s.db", -r, when);
	return r;
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
	struct db_block b = {first, last, 0, h->from_ms, h->to_ms, {j->block->bytes, j->block->len}};
	int r;

	for (int c = 0; c < 4; c++)
		b.classes |= (uint64_t)h->count[c] << 16 * c;
	r = put(j, &b);
	block_reset(j->block);
	return r;
}

/* count 0: not known. */
static struct block_record gap_record(
	struct job *j, uint8_t packed[GAP_PACKED_MAX], uint64_t first, uint64_t last, uint64_t seq, uint64_t count)
{
	struct gap g;

	gap_init(&g, GAP_DAMAGED);
	g.first = first;
	g.last = last;
	g.count = count;
	j->result->lost += count;
	j->result->unknown |= count == 0;
	return (struct block_record){.seq = seq,
		.topic = {(const uint8_t *)j->opts->topic, strlen(j->opts->topic)},
		.payload = {packed, gap_pack(&g, packed)},
		.wall_ms = j->opts->wall_ms,
		.expiry_s = MSG_NEVER_EXPIRES,
		.qos = 1,
		.class = MSG_EVENT,
		.gap = true};
}

static int put_hole(struct job *j, uint64_t to, bool counted)
{
	uint8_t packed[GAP_PACKED_MAX];
	uint64_t first = j->at + 1;
	struct block_record gap = gap_record(j, packed, first, to, to, counted ? to - first + 1 : 0);
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

static unsigned expected(const struct db_block *b)
{
	unsigned n = 0;

	for (int c = 0; c < 4; c++)
		n += (unsigned)(b->classes >> 16 * c) & 0xffff;
	return n;
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
	uint64_t lost = expected(b) > t->good ? expected(b) - t->good : 1, first = b->first;
	int err = block_iter_init(&it, b->data.at, b->data.len, b->first);

	gap = gap_record(j, packed, b->first, b->last, t->hole ? t->hole : b->last, lost);
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

static int take(struct job *j, const struct db_block *b)
{
	struct tally t;
	int r = tally(&t, b);

	if (r == 0 && b->first > j->at + 1 && j->at > 0)
		r = put_hole(j, b->first - 1, true);
	if (r < 0 || b->first <= j->at)
		return r; /* a key out of order: a tree that is damaged says things twice */
	j->result->records += t.good;
	return t.damaged || t.good < expected(b) ? put_mended(j, b, &t) : put(j, b);
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
			r = take(j, &b);
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

	if (strncmp(name, "cursor/", 7) == 0)
		m->result = db_mark_set(m->job->new, name, value);
	return m->result == 0;
}

/* The old counter may be behind what was given out: the limit is not. A tail that may be missing is told as a gap of
 * unknown count. */
static int finish(struct job *j)
{
	struct marks m = {j, 0};
	struct db_block tail;
	uint64_t next = 0;
	bool tail_known = j->old && db_block_tail(j->old, &tail) == 0 && !j->damaged;
	int r = j->old ? db_mark_each(j->old, copy_mark, &m) : -EBADMSG;

	if (m.result < 0)
		return m.result;
	if (r < 0)
		log_warn("store cursors=unreadable; what is salvaged is sent again");
	if (j->old && db_mark_get(j->old, "next", &next) == 0 && tail_known && tail.last >= next)
		next = tail.last + 1;
	if (!tail_known || next == 0)
		next = j->opts->seq_limit;
	r = j->at > 0 && !tail_known && next > j->at + 1 ? put_hole(j, next - 1, false) : 0;
	return r == 0 ? db_mark_set(j->new, "next", next > 0 ? next : 1) : r;
}

static int fill(struct job *j, const char *old_path, const char *new_path)
{
	int r = block_new(&j->block);

	if (r == 0)
		r = db_open(&j->new, new_path, &j->opts->db);
	if (r == 0)
		r = db_begin(j->new);
	if (r == 0 && db_open_reader(&j->old, old_path) < 0) {
		log_error("store file=%s unreadable=\"%s\"; nothing of it is salvaged", old_path, db_text(j->old));
		db_close(j->old);
		j->old = NULL;
		j->result->unknown = true;
	}
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
	struct job j = {.opts = opts, .result = out};
	char old_path[PATH_MAX], new_path[PATH_MAX];
	int dir_fd = open_dir(opts->dir), r = dir_fd < 0 ? dir_fd : discard(dir_fd);

	*out = (struct salvage_result){0};
	if (snprintf(old_path, sizeof(old_path), "%s/queue.db", opts->dir) >= (int)sizeof(old_path) ||
		snprintf(new_path, sizeof(new_path), "%s/queue.new", opts->dir) >= (int)sizeof(new_path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = fill(&j, old_path, new_path);
	db_rollback(j.new);
	db_close(j.old);
	db_close(j.new);
	block_free(j.block);
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
