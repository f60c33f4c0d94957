/* SPDX-License-Identifier: MIT */
/* Two passes over a copy of the window: the first says what goes and where the gap belongs (behind the last record that
 * went), the second packs what stays. The copy is needed since the old rows must go before new ones take their keys. */
#include "store/evict.h"

#include "store/gap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW_ROWS = 256,
	WINDOW_BYTES = 2 * BLOCK_BYTES,
	SMALL = 8 * 1024, /* a block without the class is taken along when it is not larger */
};

struct row {
	uint64_t first, last;
	unsigned records; /* as its head says */
	size_t at, len;
};

struct window {
	struct row rows[WINDOW_ROWS];
	size_t count;
	uint8_t *bytes;
	size_t len, cap;
};

/* --- choosing the window ---------------------------------------------------------------------------------------------- */

/* The first block with the class, or EVICT_NONE; *after is where the search ended. */
static int find(struct db *d, enum msg_class class, uint64_t *after, struct db_block *out)
{
	int r;

	while ((r = db_block_head(d, *after, out)) == 0 && !db_block_count(out, class))
		*after = out->last;
	return r == DB_END ? EVICT_NONE : r;
}

static int copy(struct db *d, struct window *w, uint64_t after)
{
	struct db_block b;
	int r = db_block_get(d, after, &b);

	if (r == 0 && w->len + b.data.len > w->cap) {
		size_t cap = w->len + b.data.len + WINDOW_BYTES;
		uint8_t *more = realloc(w->bytes, cap);

		if (more) {
			w->bytes = more;
			w->cap = cap;
		} else {
			r = -ENOMEM;
		}
	}
	if (r == 0) {
		memcpy(w->bytes + w->len, b.data.at, b.data.len);
		w->rows[w->count++] = (struct row){b.first, b.last, db_block_records(&b), w->len, b.data.len};
		w->len += b.data.len;
	}
	db_block_done(d);
	return r;
}

/* The block of the last gap, when it is small and directly in front: the gaps then become one. */
static uint64_t step_back(struct db *d, const struct evict_opts *o, uint64_t before)
{
	struct db_block gap, next;

	if (o->gap_row > 0 && db_block_head(d, o->gap_row - 1, &gap) == 0 && gap.last == o->gap_row &&
		gap.data.len <= SMALL && db_block_head(d, gap.last, &next) == 0 && next.last == before)
		return gap.last - 1;
	return before - 1;
}

static int fill(struct db *d, const struct evict_opts *o, struct window *w, uint64_t *last)
{
	struct db_block b;
	uint64_t after = o->after;
	int r = find(d, o->class, &after, &b);

	*last = after;
	if (r)
		return r;
	after = step_back(d, o, b.last);
	while ((r = db_block_head(d, after, &b)) == 0) {
		bool full = w->count == WINDOW_ROWS || (w->count > 0 && w->len + b.data.len > WINDOW_BYTES);

		if (full || (!db_block_count(&b, o->class) && b.data.len > SMALL))
			break;
		r = copy(d, w, after);
		if (r)
			break;
		after = b.last;
	}
	*last = after;
	return r == DB_END ? 0 : r;
}

/* --- rewriting it ------------------------------------------------------------------------------------------------------- */

typedef int each_fn(void *ctx, const struct block_record *r);

static int each_of_row(const struct window *w, const struct row *row, each_fn *each, void *ctx)
{
	struct block_iter it;
	struct block_record rec;
	int err = block_iter_init(&it, w->bytes + row->at, row->len, row->first);

	while (err == 0) {
		err = block_next(&it, &rec);
		if (err == 0)
			err = each(ctx, &rec);
		else if (err == BLOCK_DAMAGED)
			err = 0; /* the survey has counted it */
	}
	block_iter_fini(&it);
	return err == BLOCK_END || err == -EBADMSG ? 0 : err;
}

static int each_record(const struct window *w, each_fn *each, void *ctx)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < w->count; i++)
		err = each_of_row(w, &w->rows[i], each, ctx);
	return err;
}

struct pass {
	struct db *db;
	struct block *block;
	const struct evict_opts *opts;
	struct gap gap;
	uint64_t first, last_row; /* of the row being packed; of the last row put */
	uint64_t count;
	unsigned good; /* records read of a row */
	bool placed;
};

/* An old gap that no upstream has seen becomes part of the new one. */
static bool goes(const struct pass *p, const struct block_record *r)
{
	return r->gap ? r->seq > p->opts->passed && r->seq <= p->gap.last : r->class == p->opts->class;
}

static int count_one(void *ctx, const struct block_record *r)
{
	struct pass *p = ctx;

	if (r->gap)
		return 0;
	p->good++;
	if (r->class == p->opts->class) {
		gap_add(&p->gap, r->seq, r->class, r->wall_ms, r->topic);
		p->count++;
	}
	return 0;
}

/* What goes, and what is damaged and lost in any case. */
static int survey(struct pass *p, const struct window *w)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < w->count; i++) {
		const struct row *row = &w->rows[i];
		struct gap lost;

		p->good = 0;
		err = each_of_row(w, row, count_one, p);
		if (p->good >= row->records)
			continue;
		gap_init(&lost, GAP_DAMAGED);
		lost.first = row->first;
		lost.last = row->last;
		lost.count = row->records - p->good;
		gap_merge(&p->gap, &lost);
	}
	return err;
}

static int merge_gaps(void *ctx, const struct block_record *r)
{
	struct pass *p = ctx;
	struct gap old;

	if (r->gap && goes(p, r) && gap_unpack(&old, r->payload) == 0)
		gap_merge(&p->gap, &old);
	return 0;
}

static int put_row(struct pass *p)
{
	const struct block_head *h = &p->block->head;
	struct db_block b = {
		h->first, h->last, block_classes(h), h->from_ms, h->to_ms, {p->block->bytes, p->block->len}};
	int r;

	r = db_block_put(p->db, &b);
	p->last_row = h->last;
	p->first = h->last + 1;
	block_reset(p->block);
	return r;
}

static int put(struct pass *p, const struct block_record *rec)
{
	int r = block_add(p->block, rec, p->first);

	if (r != BLOCK_FULL)
		return r;
	r = put_row(p);
	return r ? r : block_add(p->block, rec, p->first);
}

static int put_gap(struct pass *p)
{
	uint8_t packed[GAP_PACKED_MAX];
	struct block_record rec = gap_record(&p->gap, packed, p->gap.last, p->opts->topic, p->opts->wall_ms);

	p->placed = true;
	return put(p, &rec);
}

static int keep(void *ctx, const struct block_record *rec)
{
	struct pass *p = ctx;
	int r = !p->placed && rec->seq > p->gap.last ? put_gap(p) : 0;

	return r || goes(p, rec) ? r : put(p, rec);
}

static int rewrite(struct pass *p, struct window *w)
{
	int r = survey(p, w);

	if (r == 0)
		r = each_record(w, merge_gaps, p);
	if (r == 0)
		r = db_block_drop(p->db, w->rows[0].last, w->rows[w->count - 1].last);
	p->first = w->rows[0].first;
	block_reset(p->block);
	if (r == 0)
		r = each_record(w, keep, p);
	if (r == 0 && !p->placed)
		r = put_gap(p);
	return r == 0 && p->block->records > 0 ? put_row(p) : r;
}

int evict_window(struct db *d, struct block *block, const struct evict_opts *opts, struct evict_result *out)
{
	struct window *w = calloc(1, sizeof(*w));
	struct pass p = {.db = d, .block = block, .opts = opts};
	int r = w ? fill(d, opts, w, &out->last) : -ENOMEM;

	out->count = 0;
	out->gap_row = opts->gap_row;
	if (r == 0) {
		gap_init(&p.gap, GAP_EVICTED);
		r = rewrite(&p, w);
		out->count = p.count;
		out->gap_row = p.last_row;
	}
	if (w)
		free(w->bytes);
	free(w);
	return r;
}
