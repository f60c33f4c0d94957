/* SPDX-License-Identifier: MIT */
/* A block goes over as it is; one that is damaged goes as its good records and a gap, and one that begins before what is
 * there already goes as its rest. */
#include "store/relog_parts.h"

#include "store/gap.h"

#include <errno.h>

enum { ROWS_PER_COMMIT = 256 };

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

int relog_put_hole(struct job *j, uint64_t first, uint64_t to, bool counted)
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
int relog_take(struct job *j, const struct db_block *b)
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
