/* SPDX-License-Identifier: MIT */
#include "store/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int window_new(struct window **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void window_free(struct window *w)
{
	if (w)
		free(w->bytes);
	free(w);
}

bool window_is_full(const struct window *w, const struct db_block *next)
{
	return w->count == WINDOW_ROWS || (w->count > 0 && w->len + next->data.len > WINDOW_BYTES);
}

static int reserve(struct window *w, size_t need)
{
	uint8_t *more;

	if (need <= w->cap)
		return 0;
	more = realloc(w->bytes, need + WINDOW_BYTES);
	if (!more)
		return -ENOMEM;
	w->bytes = more;
	w->cap = need + WINDOW_BYTES;
	return 0;
}

int window_add(struct window *w, struct db *d, uint64_t after)
{
	struct db_block b;
	int r = db_block_get(d, after, &b);

	if (r == 0)
		r = reserve(w, w->len + b.data.len);
	if (r == 0) {
		memcpy(w->bytes + w->len, b.data.at, b.data.len);
		w->rows[w->count++] = (struct window_row){b.first, b.last, db_block_records(&b), w->len, b.data.len};
		w->len += b.data.len;
	}
	db_block_done(d);
	return r;
}

/* --- looking through it --------------------------------------------------------------------------------------------- */

int window_each_of(const struct window *w, const struct window_row *row, window_each_fn *each, void *ctx)
{
	struct block_iter it;
	struct block_record rec;
	int err = block_iter_init(&it, w->bytes + row->at, row->len, row->first);

	while (err == 0) {
		err = block_next(&it, &rec);
		if (err == 0)
			err = each(ctx, &rec);
		else if (err == BLOCK_DAMAGED)
			err = 0;
	}
	block_iter_fini(&it);
	return err == BLOCK_END || err == -EBADMSG ? 0 : err;
}

int window_each(const struct window *w, window_each_fn *each, void *ctx)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < w->count; i++)
		err = window_each_of(w, &w->rows[i], each, ctx);
	return err;
}

/* --- writing it again ----------------------------------------------------------------------------------------------- */

struct pass {
	struct db *db;
	struct block *block;
	const struct window_edit *edit;
	uint64_t first, last_row; /* of the row being packed; of the last row put */
	bool placed;              /* the gap */
};

static int put_row(struct pass *p)
{
	const struct block_head *h = &p->block->head;
	struct db_block b = {
		h->first, h->last, block_classes(h), h->from_ms, h->to_ms, {p->block->bytes, p->block->len}};
	int r = db_block_put(p->db, &b);

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

/* Of the boot of what it stands beside, so that they share a block. */
static int put_gap(struct pass *p, uint32_t boot)
{
	uint8_t packed[GAP_PACKED_MAX];
	const struct gap *g = p->edit->gap;
	struct block_record rec = gap_record(g, packed, g->last, p->edit->topic, p->edit->wall_ms);

	rec.boot = p->block->records > 0 ? p->block->head.boot : boot;
	p->placed = true;
	return put(p, &rec);
}

static int keep(void *ctx, struct block_record *rec)
{
	struct pass *p = ctx;
	int r = !p->placed && rec->seq > p->edit->gap->last ? put_gap(p, rec->boot) : 0;

	return r || !p->edit->stays(p->edit->ctx, rec) ? r : put(p, rec);
}

int window_rewrite(
	const struct window *w, struct db *d, struct block *block, const struct window_edit *edit, uint64_t *last_row)
{
	struct pass p = {.db = d, .block = block, .edit = edit, .first = w->rows[0].first, .placed = !edit->gap};
	int r = db_block_drop(d, w->rows[0].last, w->rows[w->count - 1].last);

	block_reset(block);
	if (r == 0)
		r = window_each(w, keep, &p);
	if (r == 0 && !p.placed)
		r = put_gap(&p, 0);
	if (r == 0 && block->records > 0)
		r = put_row(&p);
	*last_row = p.last_row;
	return r;
}
