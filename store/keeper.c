/* SPDX-License-Identifier: MIT */
/* A commit takes the gather into the book, and then writes what the book differs in from the file: what is dropped
 * first, so that its pages are used again at once. If the transaction fails the difference stays, and the next try
 * writes it: nothing is ever taken back. */
#include "store/keeper.h"

#include "store/keeper_parts.h"

#include <errno.h>
#include <stdlib.h>

enum {
	WAL_MIN = 64 * 1024,
	WAL_MAX = 4 * 1024 * 1024,
	INDEX_BYTES = 64 * 1024, /* broker.db-shm, beside what a long WAL adds */
	SPARE_PAGES = 32,        /* inner pages, dead bits, the free list: dropping must always be possible */
};

/* --- bounds ------------------------------------------------------------------------------------------------------ */

int64_t keeper_wal_bytes(int64_t max_bytes)
{
	int64_t n = max_bytes / 16;

	return n < WAL_MIN ? WAL_MIN : n > WAL_MAX ? WAL_MAX : n;
}

/* A backup reads in one transaction, so as to see one moment: so long the WAL cannot be started over. */
static int64_t wal_most(int64_t max_bytes)
{
	int64_t n = max_bytes / 8, least = 4 * keeper_wal_bytes(max_bytes);

	return n < least ? least : n;
}

int64_t keeper_file_bytes(int64_t max_bytes)
{
	int64_t wal = wal_most(max_bytes);

	return max_bytes - wal - wal / 256 - INDEX_BYTES;
}

static int check_wal(struct keeper *k)
{
	int64_t most = wal_most(k->max_bytes) * 3 / 4;
	int r = 0;

	if (k->size.wal_frames * DB_FRAME > most)
		r = ledgerdb_checkpoint(k->db, true);
	if (r == 0)
		r = ledgerdb_size(k->db, &k->size);
	return r == 0 && k->size.wal_frames * DB_FRAME > most ? -EBUSY : r;
}

/* --- from the gather into the book ------------------------------------------------------------------------------- */

static int take_puts(struct keeper *k, struct gather *g)
{
	struct folio_entry entries[FOLIO_ENTRIES / 8];
	size_t n, used;

	for (;;) {
		size_t at = g->puts_done;
		struct leaf *l;

		n = gather_entries(g, &at, entries, sizeof(entries) / sizeof(entries[0]));
		if (n == 0)
			return 0;
		used = folio_fit(entries, n);
		l = leaf_pack(entries, used);
		if (!l || book_add_take(&k->book, l) < 0) {
			leaf_free(l);
			return -ENOMEM;
		}
		g->puts_done = (size_t)(entries[used - 1].number - g->first) + 1;
	}
}

static int take(struct keeper *k, struct gather *g)
{
	int r = take_puts(k, g);

	for (; r == 0 && g->drops_done < g->drop_count; g->drops_done++)
		book_drop(&k->book, g->drops[g->drops_done]);
	if (r == 0 && g->first + g->put_count > k->next)
		k->next = g->first + g->put_count;
	k->passed = 0;
	return r;
}

/* --- from the book into the file --------------------------------------------------------------------------------- */

static int put_dead(struct keeper *k, const struct leaf *l)
{
	size_t len = leaf_dead_bytes(l);

	if (len > k->bits_cap) {
		uint8_t *more = realloc(k->bits, len);

		if (!more)
			return -ENOMEM;
		k->bits = more;
		k->bits_cap = len;
	}
	leaf_put_dead(l, k->bits);
	return ledgerdb_put_dead(k->db, l->last, (struct span){k->bits, len});
}

int keeper_write_leaf(struct keeper *k, struct leaf *l)
{
	struct ledgerdb_folio row = {.first = l->first, .last = l->last, .data = {l->blob, l->bytes}};
	int r = 0;

	if (l->live == 0)
		return l->in_row ? ledgerdb_drop(k->db, l->last) : 0;
	if (l->blob)
		r = ledgerdb_put(k->db, &row);
	return r == 0 && l->live < l->count ? put_dead(k, l) : r;
}

static int write_dirty(struct keeper *k, bool dying)
{
	int r = 0;

	for (struct leaf *l = k->book.dirty; r == 0 && l; l = l->next_dirty)
		if ((l->live == 0) == dying)
			r = keeper_write_leaf(k, l);
	return r;
}

static int write_limit(struct keeper *k, uint64_t *limit)
{
	int r;

	if (k->next + KEEPER_STEP / 2 < k->limit)
		return 0;
	*limit = k->limit + KEEPER_STEP;
	r = keeper_promise(k, *limit);
	return r == 0 ? ledgerdb_set_limit(k->db, *limit) : r;
}

static int write_all(struct keeper *k, struct tidy *t, uint64_t *limit)
{
	int r = write_dirty(k, true);

	if (r == 0)
		r = write_dirty(k, false);
	if (r == 0)
		r = write_limit(k, limit);
	if (r == 0 && keeper_is_untidy(k))
		r = keeper_tidy_run(k, t);
	return r;
}

static void adopt(struct keeper *k, struct tidy *t)
{
	book_written(&k->book);
	if (t->fresh) {
		free(t->fresh->blob);
		t->fresh->blob = NULL;
		t->fresh->in_row = true;
		book_replace_take(&k->book, t->at, t->count, t->fresh);
		k->rewrites++;
	}
	book_sweep(&k->book);
	k->commits++;
}

static int commit(struct keeper *k)
{
	struct tidy t = {0};
	uint64_t limit = k->limit;
	int r = check_wal(k);

	if (r == 0)
		r = ledgerdb_begin(k->db);
	if (r < 0)
		return r;
	r = ledgerdb_end(k->db, write_all(k, &t, &limit));
	if (r < 0) {
		leaf_free(t.fresh);
		return r;
	}
	k->limit = limit;
	adopt(k, &t);
	ledgerdb_size(k->db, &k->size);
	return 0;
}

bool keeper_is_open(const struct keeper *k)
{
	return k->db != NULL;
}

int keeper_commit(struct keeper *k, struct gather *g)
{
	int r = take(k, g);

	return r == 0 ? commit(k) : r;
}

int keeper_tidy(struct keeper *k)
{
	return commit(k);
}

int keeper_checkpoint(struct keeper *k)
{
	return k->db ? ledgerdb_checkpoint(k->db, false) : 0;
}

/* --- figures ----------------------------------------------------------------------------------------------------- */

uint64_t keeper_next(const struct keeper *k)
{
	return k->next;
}

const char *keeper_text(const struct keeper *k)
{
	return ledgerdb_text(k->db);
}

void keeper_stats(const struct keeper *k, struct keeper_stats *out)
{
	const struct db_size *s = &k->size;

	*out = (struct keeper_stats){
		.entries = k->book.live,
		.commits = k->commits,
		.rewrites = k->rewrites,
		.folios = k->book.count - k->book.empty,
		.salvaged = k->salvaged,
		.lost = k->lost,
		.max_bytes = k->max_bytes,
		.live_bytes = (int64_t)k->book.live_bytes,
		.disk_bytes = (s->pages - s->free_pages) * DB_PAGE + s->wal_frames * DB_FRAME,
		.room_bytes = (s->max_pages - s->pages + s->free_pages - SPARE_PAGES - s->max_pages / 64) * DB_PAGE,
	};
}
