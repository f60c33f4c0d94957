/* SPDX-License-Identifier: MIT */
#include "store/relog.h"

#include "base/log.h"
#include "store/block.h"
#include "store/carve.h"
#include "store/gap.h"

#include <errno.h>
#include <string.h>

enum { ROWS_PER_COMMIT = 256 };

struct job {
	const struct relog_opts *opts;
	struct relog_result *result;
	struct block *block;
	struct carve *carve;       /* made when there is a hole */
	uint64_t at, committed_at; /* the last seq in the new file; 0: none yet */
	uint64_t floor;            /* every upstream has acknowledged up to here; UINT64_MAX: not known */
	uint64_t end;              /* the last that is wanted; 0: all */
	unsigned rows;             /* since the last commit */
	bool damaged;              /* the old tree could not be walked from end to end */
};

/* --- writing ------------------------------------------------------------------------------------------------------- */

static int put(struct job *j, const struct db_block *b)
{
	int r = db_block_put(j->opts->to, b);

	j->at = b->last;
	if (r == 0 && ++j->rows == ROWS_PER_COMMIT) {
		j->rows = 0;
		r = db_commit(j->opts->to);
		if (r == 0)
			j->committed_at = j->at;
		if (r == 0)
			r = db_checkpoint(j->opts->to, false);
		if (r == 0)
			r = db_begin(j->opts->to);
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

/* --- reading ------------------------------------------------------------------------------------------------------- */

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

/* A block that begins before what is in the new file ends: the writer has made one of several meanwhile, or a damaged
 * tree says things twice. What is new of it. */
static int take_rest(struct job *j, const struct db_block *b)
{
	struct block_iter it;
	struct block_record rec;
	uint64_t first = j->at + 1, after = j->at;
	int err = b->last > j->at ? block_iter_init(&it, b->data.at, b->data.len, b->first) : -EBADMSG;

	if (err < 0)
		return err == -EBADMSG ? 0 : err;
	block_reset(j->block);
	while (err == 0 && (err = block_next(&it, &rec)) != BLOCK_END) {
		if (err == 0 && rec.seq > after) {
			err = add(j, &rec, &first);
			j->result->records += !rec.gap;
		} else if (err == BLOCK_DAMAGED) {
			err = 0;
		}
	}
	block_iter_fini(&it);
	if (err != BLOCK_END || j->block->records == 0)
		return err == BLOCK_END ? 0 : err;
	return put_packed(j, first, b->last);
}

/* A block that follows what is in the new file. */
static int take(struct job *j, const struct db_block *b)
{
	struct tally t;
	int r;

	if (b->first <= j->at)
		return take_rest(j, b);
	r = tally(&t, b);
	if (r < 0)
		return r;
	j->result->records += t.good;
	return t.damaged || t.good < db_block_records(b) ? put_mended(j, b, &t) : put(j, b);
}

/* Blocks that no tree leads to, for the seqs from `from` to `to`. What is below the floor is stale. */
static int take_carved(struct job *j, uint64_t from, uint64_t to)
{
	struct db_block b;
	uint64_t after = from - 1;
	int r = j->carve ? 0 : carve_new(&j->carve, j->opts->from_path);

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

/* The writer has dropped more than the hole since we were there: what was copied is settled as well, and goes. */
static int catch_up(struct job *j, const struct db_block *b)
{
	struct db_block oldest;
	int r = db_block_head(j->opts->from, 0, &oldest);

	if (r != 0 || oldest.first <= j->at)
		return r < 0 ? r : 0;
	r = db_block_drop(j->opts->to, 0, j->at);
	j->at = b->first - 1;
	j->result->records = 0;
	return r;
}

/* At the old end there may be history that was acknowledged, or a first block that is part of it: no hole. Nor can a
 * writer that goes on leave one there: what begins behind the cursors that were read was dropped since. */
static int take_from_tree(struct job *j, const struct db_block *b)
{
	bool known = j->at > 0 || (!j->opts->in_use && j->floor != UINT64_MAX && b->first > j->floor + 1);
	int r = j->opts->in_use && j->at > 0 && b->first > j->at + 1 ? catch_up(j, b) : 0;

	if (r == 0 && known && b->first > 0)
		r = bridge_hole(j, b->first - 1, true);
	return r < 0 ? r : take(j, b);
}

/* The least seq behind which the tree can be walked again; the tree is readable behind `good`. */
static uint64_t bisect(struct job *j, uint64_t bad, uint64_t good)
{
	struct db_block b;

	while (good - bad > 1) {
		uint64_t mid = bad + (good - bad) / 2;

		if (db_block_head(j->opts->from, mid, &b) >= 0)
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
		if (db_block_head(j->opts->from, *after + step, &b) >= 0) {
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
		int r = db_block_get(j->opts->from, after, &b);

		if (r == DB_END || (r == 0 && j->end > 0 && b.first > j->end))
			return 0;
		if (r == 0) {
			after = b.last;
			r = take_from_tree(j, &b);
		} else if (db_block_head(j->opts->from, after, &b) == 0 && b.last > after) {
			after = b.last; /* the bytes of this one cannot be read, the tree can */
			j->damaged = true;
			r = 0;
		} else {
			r = skip(j, &after);
			if (r == DB_END)
				return 0;
		}
		db_block_done(j->opts->from);
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
	bool cursor = strncmp(name, "cursor/", 7) == 0;

	if ((cursor && value >= m->job->opts->seq_limit) || (!cursor && strncmp(name, "once/", 5) != 0))
		return true;
	if (cursor && value < m->job->floor)
		m->job->floor = value;
	m->result = db_mark_set(m->job->opts->to, name, value);
	return m->result == 0;
}

static int copy_cursors(struct job *j)
{
	struct marks m = {j, 0};
	int r = db_mark_each(j->opts->from, copy_mark, &m);

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
	bool sound = j->opts->from && db_block_tail(j->opts->from, &tail) >= 0 && !j->damaged;
	int r = 0;

	if (j->opts->from)
		db_mark_get(j->opts->from, "next", &next);
	if (j->at >= next)
		next = j->at + 1;
	if (!sound || next == 0)
		next = j->opts->seq_limit;
	if (!sound && next > 1)
		r = bridge_hole(j, next - 1, false);
	return r == 0 ? db_mark_set(j->opts->to, "next", next > 0 ? next : 1) : r;
}

static int copy_all(struct job *j)
{
	struct db_block tail;
	int r = db_begin(j->opts->to);

	if (r == 0 && j->opts->in_use) {
		r = db_block_tail(j->opts->from, &tail);
		j->end = r == 0 ? tail.last : 1;
		r = r == DB_END ? 0 : r;
	}
	if (r == 0 && j->opts->from)
		r = copy_cursors(j);
	if (r == 0 && j->opts->from)
		r = copy_blocks(j);
	if (r == -ENOSPC && !j->opts->in_use) {
		log_error("store salvage=partial; there is no room for all of it, the rest stays in the old file");
		j->damaged = true;
		j->at = j->committed_at;
		db_rollback(j->opts->to);
		r = db_begin(j->opts->to);
		if (r == 0 && j->opts->from)
			r = copy_cursors(j);
	}
	if (r == 0)
		r = finish(j);
	if (r == 0)
		r = db_commit(j->opts->to);
	if (r < 0)
		db_rollback(j->opts->to);
	return r == 0 ? db_checkpoint(j->opts->to, true) : r;
}

int relog(const struct relog_opts *opts, struct relog_result *out)
{
	struct job j = {.opts = opts, .result = out, .floor = UINT64_MAX};
	int r = block_new(&j.block);

	*out = (struct relog_result){.unknown = !opts->from};
	if (r == 0)
		r = copy_all(&j);
	out->last = j.at;
	block_free(j.block);
	carve_free(j.carve);
	return r;
}
