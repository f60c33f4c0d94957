/* SPDX-License-Identifier: MIT */
/* From broker.db into the book: the replay at the start, and when the file was opened again. */
#include "base/log.h"
#include "store/keeper_parts.h"
#include "store/rescue.h"

#include <errno.h>

/* --- replay ------------------------------------------------------------------------------------------------------ */

struct walk {
	struct keeper *keeper;
	int (*each)(void *arg, uint64_t number, struct span bytes);
	void *arg;
	uint64_t after; /* numbers up to here were told */
	int stopped;    /* what each() said, if it was not 0 */
};

/* Tells the live entries of a folio that was read into a leaf. */
static int tell(struct walk *w, const struct leaf *l, struct span data)
{
	struct folio_reader reader;
	struct folio_entry e;
	int r = folio_open(&reader, data.at, data.len, l->first);

	for (size_t i = 0; r == 0 && (r = folio_next(&reader, &e)) != FOLIO_END; i++) {
		if (!leaf_lives(l, i) || e.number <= w->after) {
			r = 0;
			continue;
		}
		if (r == FOLIO_DAMAGED)
			return -EBADMSG;
		w->after = e.number;
		w->stopped = w->each(w->arg, e.number, e.bytes);
		if (w->stopped)
			return -ECANCELED;
	}
	return r == FOLIO_END ? 0 : r;
}

/* Numbers of folios ascend, and so do those of one to the next. */
static int load_one(struct keeper *k, struct walk *w, const struct ledgerdb_folio *row, uint64_t after)
{
	struct leaf *l = NULL;
	int r = row->first > after ? leaf_read(&l, row->data, row->dead, row->first, row->last) : -EBADMSG;

	if (r == 0) {
		r = book_add_take(&k->book, l);
		if (r < 0)
			leaf_free(l);
	}
	if (r < 0)
		return r;
	if (l->live == 0)
		book_mark(&k->book, l);
	if (row->last >= k->next)
		k->next = row->last + 1;
	return tell(w, l, row->data);
}

/* All of the file into the book. */
static int load(struct keeper *k, struct walk *w)
{
	struct ledgerdb_folio row;
	uint64_t after = 0;
	int r;

	while ((r = ledgerdb_get(k->db, after, &row)) == 0) {
		r = load_one(k, w, &row, after);
		if (r)
			break;
		after = row.last;
	}
	ledgerdb_done(k->db);
	return r == DB_END ? 0 : r;
}

static int load_salvaged(void *walk, const struct ledgerdb_folio *row)
{
	struct walk *w = walk;

	return load_one(w->keeper, w, row, row->first - 1);
}

static int load_damaged(struct keeper *k, struct walk *w)
{
	struct rescue_result done;
	int r = rescue_each(k->db, k->path, load_salvaged, w, &done);

	if (k->promised.limit == 0 && k->next < done.last + RESCUE_LEAP)
		k->next = done.last + RESCUE_LEAP;
	k->lost += done.lost;
	log_warn("ledger file=%s state=damaged read=%llu lost=%llu%s; it is set aside when there is room for a new one",
		k->path, (unsigned long long)done.entries, (unsigned long long)done.lost,
		done.unknown ? " and perhaps more" : "");
	return r;
}

/* Where nothing can be written, damage is read around; else the file is set aside, and the walk goes on in the new one.
 * What was told already is not told again. */
static int load_again(struct keeper *k, struct walk *w, int64_t wall_ms)
{
	int r;

	book_fini(&k->book);
	r = k->alone ? keeper_open_damaged(k) : keeper_start_over(k, wall_ms);
	if (r < 0 || !k->db)
		return r;
	return k->damaged ? load_damaged(k, w) : load(k, w);
}

int keeper_replay(
	struct keeper *k, int (*each)(void *arg, uint64_t number, struct span bytes), void *arg, int64_t wall_ms)
{
	struct walk w = {.keeper = k, .each = each, .arg = arg};
	int r = !k->db ? 0 : k->damaged ? load_damaged(k, &w) : load(k, &w);

	if (r == -EBADMSG)
		r = load_again(k, &w, wall_ms);
	if ((r == -ENOSPC || r == -EIO) && !k->alone) {
		r = keeper_open_to_wait(k, r);
		if (r == 0 && k->db)
			r = load_again(k, &w, wall_ms);
	}
	if (k->alone)
		keeper_detach(k); /* the first commit opens it for writing */
	return w.stopped ? w.stopped : r;
}

/* --- mending ----------------------------------------------------------------------------------------------------- */

/* What the file has and this process has dropped goes again; what it has not got yet is written again. */
static void drop_dead(struct keeper *k, struct book *before, struct leaf *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (leaf_lives(l, i) && !book_has(before, l->first + l->entries[i].step))
			book_drop(&k->book, l->first + l->entries[i].step);
}

static int reconcile(struct keeper *k, struct book *before, uint64_t lost)
{
	uint64_t lived = before->live;

	if (book_reserve(&k->book, before->count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < k->book.count; i++)
		drop_dead(k, before, k->book.leaves[i]);
	for (size_t i = 0; i < before->count; i++) {
		struct leaf *l = before->leaves[i];

		if (!l->blob || l->live == 0 || book_has(&k->book, l->last))
			continue;
		l->next_dirty = NULL;
		l->dirty = l->in_row = false;
		(void)book_add_take(&k->book, l); /* there is room */
		before->leaves[i] = NULL;
	}
	k->lost = lost + (lived > k->book.live ? lived - k->book.live : 0);
	return 0;
}

int keeper_mend(struct keeper *k, bool damaged, int64_t wall_ms)
{
	struct book before = k->book;
	uint64_t lost = k->lost;
	struct walk silent = {.keeper = k, .after = UINT64_MAX};
	int r;

	k->book = (struct book){0};
	k->tidied = k->passed = 0;
	if (damaged && k->db) {
		r = keeper_start_over(k, wall_ms);
	} else {
		keeper_detach(k);
		r = keeper_open_files(k, wall_ms);
	}
	if (r == 0)
		r = load(k, &silent);
	if (r == -EBADMSG)
		r = load_again(k, &silent, wall_ms);
	if (r == 0)
		r = reconcile(k, &before, lost);
	if (r == 0) {
		book_fini(&before);
		return 0;
	}
	book_fini(&k->book);
	k->book = before;
	keeper_detach(k);
	return r;
}
