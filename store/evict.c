/* SPDX-License-Identifier: MIT */
/* The first pass over a window says what goes and where the gap belongs (behind the last record that went), the second
 * packs what stays. */
#include "store/evict.h"

#include "store/window.h"

enum { SMALL = 8 * 1024 }; /* a block without the class is taken along when it is not larger */

/* --- choosing the window ------------------------------------------------------------------------------------------ */

/* The first block with the class, or EVICT_NONE; *after is where the search ended. */
static int find(struct db *d, enum msg_class class, uint64_t *after, struct db_block *out)
{
	int r;

	while ((r = db_block_head(d, *after, out)) == 0 && !db_block_count(out, class))
		*after = out->last;
	return r == DB_END ? EVICT_NONE : r;
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
		if (window_is_full(w, &b) || (!db_block_count(&b, o->class) && b.data.len > SMALL))
			break;
		r = window_add(w, d, after);
		if (r)
			break;
		after = b.last;
	}
	*last = after;
	return r == DB_END ? 0 : r;
}

/* --- rewriting it ------------------------------------------------------------------------------------------------- */

struct pass {
	const struct evict_opts *opts;
	struct gap gap;
	uint64_t count;
	unsigned good; /* records read of a row */
};

/* An old gap that no upstream has seen becomes part of the new one. */
static bool goes(const struct pass *p, const struct block_record *r)
{
	return r->gap ? r->seq > p->opts->passed && r->seq <= p->gap.last : r->class == p->opts->class;
}

static int count_one(void *ctx, struct block_record *r)
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
		const struct window_row *row = &w->rows[i];
		struct gap lost;

		p->good = 0;
		err = window_each_of(w, row, count_one, p);
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

static int merge_gaps(void *ctx, struct block_record *r)
{
	struct pass *p = ctx;
	struct gap old;

	if (r->gap && goes(p, r) && gap_unpack(&old, r->payload) == 0)
		gap_merge(&p->gap, &old);
	return 0;
}

static bool stays(void *ctx, struct block_record *r)
{
	return !goes(ctx, r);
}

static int rewrite(struct pass *p, struct db *d, struct block *block, const struct window *w, uint64_t *gap_row)
{
	struct window_edit edit = {p, stays, &p->gap, p->opts->topic, p->opts->wall_ms};
	int r;

	gap_init(&p->gap, GAP_EVICTED);
	r = survey(p, w);
	if (r == 0)
		r = window_each(w, merge_gaps, p);
	return r == 0 ? window_rewrite(w, d, block, &edit, gap_row) : r;
}

int evict_window(struct db *d, struct block *block, const struct evict_opts *opts, struct evict_result *out)
{
	struct pass p = {.opts = opts};
	struct window *w;
	int r = window_new(&w);

	*out = (struct evict_result){.gap_row = opts->gap_row};
	if (r == 0)
		r = fill(d, opts, w, &out->last);
	if (r == 0) {
		r = rewrite(&p, d, block, w, &out->gap_row);
		out->count = p.count;
	}
	window_free(w);
	return r;
}
