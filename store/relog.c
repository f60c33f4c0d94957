/* SPDX-License-Identifier: MIT */
#include "store/relog.h"

#include "base/log.h"
#include "store/relog_parts.h"

#include <errno.h>
#include <string.h>

/* --- blocks that no tree leads to --------------------------------------------------------------------------------- */

enum { SPAN, CLASSES, FROM_MS, TO_MS, BLOCK_INTS }; /* columns between the key and the blob */

static struct db_block block_of(const struct carve_row *row)
{
	return (struct db_block){
		.first = row->key - (uint64_t)row->ints[SPAN],
		.last = row->key,
		.classes = (uint64_t)row->ints[CLASSES],
		.from_ms = row->ints[FROM_MS],
		.to_ms = row->ints[TO_MS],
		.data = row->data,
	};
}

/* It begins a block with a right sum. */
static int is_block(const struct carve_row *row)
{
	struct db_block b = block_of(row);
	struct block_iter it;
	struct block_record rec;
	int r = b.first <= b.last ? block_iter_init(&it, b.data.at, b.data.len, b.first) : -EBADMSG;

	if (r < 0)
		return r;
	while ((r = block_next(&it, &rec)) == BLOCK_DAMAGED)
		;
	block_iter_fini(&it);
	return r == 0 ? 0 : r < 0 ? r : -EBADMSG;
}

static const struct carve_kind blocks = {.ints = BLOCK_INTS, .check = is_block};

/* Blocks that no tree leads to, for the seqs from `from` to `to`. What is below the floor is stale. */
static int take_carved(struct job *j, uint64_t from, uint64_t to)
{
	struct carve_row row;
	uint64_t after = from - 1;
	int r = j->carve ? 0 : carve_new(&j->carve, j->opts->from_path, &blocks);

	while (r == 0 && (r = carve_next(j->carve, after, &row)) == 0 && row.key <= to) {
		struct db_block b = block_of(&row);

		after = b.last;
		if (b.first < from)
			continue;
		if (b.first > j->at + 1)
			r = relog_put_hole(j, j->at + 1, b.first - 1, true);
		if (r == 0)
			r = relog_take(j, &b);
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
	return r == 0 && j->at < to ? relog_put_hole(j, j->at + 1, to, counted) : r;
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
	return r < 0 ? r : relog_take(j, b);
}

/* What is tried again later may well be readable: it ends the copy, which then has failed. */
static bool is_damage(const struct job *j, int r)
{
	return r == -EBADMSG || (j->opts->salvage && r == -EIO);
}

/* Whether the tree can be walked behind a seq: 1, 0 or -errno. */
static int probe(struct job *j, uint64_t after)
{
	struct db_block b;
	int r = db_block_head(j->opts->from, after, &b);

	return r >= 0 ? 1 : is_damage(j, r) ? 0 : r;
}

/* The least seq behind which the tree can be walked again; it can behind *good. */
static int bisect(struct job *j, uint64_t bad, uint64_t *good)
{
	int r = 0;

	while (r >= 0 && *good - bad > 1) {
		uint64_t mid = bad + (*good - bad) / 2;

		r = probe(j, mid);
		if (r > 0)
			*good = mid;
		else
			bad = mid;
	}
	return r < 0 ? r : 0;
}

/* 0 with a seq to go on behind, DB_END or -errno. */
static int skip(struct job *j, uint64_t *after)
{
	uint64_t bad = *after;
	int r = 0;

	for (uint64_t step = 1; r == 0 && *after + step <= j->opts->seq_limit; step *= 2) {
		r = probe(j, *after + step);
		if (r == 0)
			bad = *after + step;
		else if (r > 0)
			*after += step;
	}
	return r == 0 ? DB_END : r < 0 ? r : bisect(j, bad, after);
}

/* A block that cannot be read: behind its bytes alone, or behind that part of the tree. 0, DB_END or -errno. */
static int pass_damage(struct job *j, uint64_t *after)
{
	struct db_block b;
	int r = db_block_head(j->opts->from, *after, &b);

	j->damaged = true;
	if (r == 0 && b.last > *after) {
		*after = b.last;
		return 0;
	}
	return r >= 0 || is_damage(j, r) ? skip(j, after) : r;
}

static int copy_blocks(struct job *j)
{
	uint64_t after = 0;
	int r = 0;

	while (r == 0) {
		struct db_block b;

		r = db_block_get(j->opts->from, after, &b);
		if (r == 0 && j->end > 0 && b.first > j->end) {
			r = DB_END;
		} else if (r == 0) {
			after = b.last;
			r = take_from_tree(j, &b);
		} else if (r < 0 && is_damage(j, r)) {
			r = pass_damage(j, &after);
		}
		db_block_done(j->opts->from);
	}
	return r == DB_END ? 0 : r;
}

struct marks {
	struct job *job;
	int result;
};

/* What the times of its records need, and what must not be taken twice. */
static bool is_kept(const char *name)
{
	return strncmp(name, "once/", 5) == 0 || strncmp(name, "clock/", 6) == 0;
}

static bool copy_mark(void *ctx, const char *name, uint64_t value)
{
	struct marks *m = ctx;
	bool cursor = strncmp(name, "cursor/", 7) == 0;

	if ((cursor && value >= m->job->opts->seq_limit) || (!cursor && !is_kept(name)))
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

	if (r < 0 && !is_damage(j, r))
		return r;
	if (r < 0) {
		log_warn("store cursors=unreadable; what is salvaged is sent again");
		j->floor = UINT64_MAX;
	}
	return m.result;
}

/* --- from a database that nobody writes ---------------------------------------------------------------------------- */

static int copy_still(struct job *j)
{
	int r = copy_cursors(j);

	return r == 0 ? copy_blocks(j) : r;
}

/* Whether the old counter can be believed: 1, 0 or -errno. */
static int is_sound(struct job *j, uint64_t *next)
{
	struct db_block tail;
	int r = j->opts->from && !j->damaged ? db_block_tail(j->opts->from, &tail) : -EBADMSG;

	if (r >= 0)
		r = db_mark_get(j->opts->from, "next", next);
	if (j->at >= *next)
		*next = j->at + 1;
	return r >= 0 ? 1 : is_damage(j, r) ? 0 : r;
}

/* The old counter may be behind what was given out: the limit is not. A tail that may be missing is told as a gap of
 * unknown count. */
static int finish(struct job *j)
{
	uint64_t next = 0;
	int r = is_sound(j, &next);

	if (r == 0) {
		next = j->opts->seq_limit > j->at ? j->opts->seq_limit : j->at + 1;
		r = next > 1 ? bridge_hole(j, next - 1, false) : 0;
	}
	return r >= 0 ? db_mark_set(j->opts->to, "next", next > 0 ? next : 1) : r;
}

/* --- from one whose writer goes on --------------------------------------------------------------------------------- */

static int copy_moving(struct job *j)
{
	struct db_block tail;
	int r = db_block_tail(j->opts->from, &tail);

	j->end = r == 0 ? tail.last : 1;
	return r >= 0 ? copy_still(j) : r;
}

/* What is in the copy begins behind everything that its cursors have not seen: what is in front was settled, and
 * dropped, since they were read. */
struct raise {
	struct job *job;
	uint64_t least;
	int result;
};

static bool raise_cursor(void *ctx, const char *name, uint64_t value)
{
	struct raise *c = ctx;

	if (strncmp(name, "cursor/", 7) == 0 && value < c->least)
		c->result = db_mark_set(c->job->opts->to, name, c->least);
	return c->result == 0;
}

static int raise_cursors(struct job *j)
{
	struct raise c = {.job = j};
	struct db_block oldest;
	int r = db_block_head(j->opts->to, 0, &oldest);

	if (r != 0)
		return r < 0 ? r : 0;
	c.least = oldest.first - 1;
	r = db_mark_each(j->opts->to, raise_cursor, &c);
	return r < 0 ? r : c.result;
}

static int begin_again(struct job *j)
{
	int r = db_block_drop(j->opts->to, 0, INT64_MAX);

	j->at = 0;
	j->floor = UINT64_MAX;
	j->damaged = false;
	*j->result = (struct relog_result){0};
	return r == 0 ? db_begin_read(j->opts->from) : r;
}

/* The writer may have settled everything up to the end that was seen while we were on the way there. Then the log is
 * short, and the second go holds it still. */
static int copy_in_use(struct job *j)
{
	uint64_t next = 0;
	int r = copy_moving(j);

	if (r == 0 && j->at < j->end) {
		r = begin_again(j);
		if (r == 0)
			r = copy_moving(j);
		db_rollback(j->opts->from);
	}
	if (r == 0 && j->damaged && j->at < j->end)
		r = bridge_hole(j, j->end, true);
	if (r == 0)
		r = raise_cursors(j);
	if (r == 0)
		r = db_mark_get(j->opts->from, "next", &next);
	if (j->at >= next)
		next = j->at + 1;
	return r >= 0 || is_damage(j, r) ? db_mark_set(j->opts->to, "next", next) : r;
}

/* --- all of it ----------------------------------------------------------------------------------------------------- */

/* There is no room for more than what was committed. */
static int copy_part(struct job *j)
{
	int r;

	log_error("store salvage=partial; there is no room for all of it, the rest stays in the old file");
	j->damaged = true;
	j->at = j->committed_at;
	db_rollback(j->opts->to);
	r = db_begin(j->opts->to);
	return r == 0 && j->opts->from ? copy_cursors(j) : r;
}

static int copy_all(struct job *j)
{
	int r = db_begin(j->opts->to);

	if (r == 0 && j->opts->in_use) {
		r = copy_in_use(j);
	} else if (r == 0) {
		r = j->opts->from ? copy_still(j) : 0;
		if (r == -ENOSPC)
			r = copy_part(j);
		if (r == 0)
			r = finish(j);
	}
	r = db_end(j->opts->to, r);
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
