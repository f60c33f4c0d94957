/* SPDX-License-Identifier: MIT */
#include "store/rescue.h"

#include "base/log.h"
#include "store/book.h"
#include "store/carve.h"
#include "store/folio.h"

#include <errno.h>
#include <stdlib.h>

enum {
	PIECE_BYTES = 4 * 1024 * 1024, /* of one transaction */
	SPARE_PAGES = 64,
};

struct job {
	struct ledgerdb *from;
	const char *from_path;
	int (*put)(void *ctx, const struct ledgerdb_folio *row);
	void *ctx;
	struct rescue_result *result;
	struct carve *carve; /* made when there is a hole */
};

static int put(struct job *j, const struct ledgerdb_folio *row)
{
	j->result->last = row->last;
	return j->put(j->ctx, row);
}

/* The entries that can be read, as a folio of their own. */
static int put_good(struct job *j, const struct folio_entry *good, size_t count)
{
	struct leaf *l = count > 0 ? leaf_pack(good, count) : NULL;
	struct ledgerdb_folio row;
	int r;

	if (!l)
		return count > 0 ? -ENOMEM : 0;
	row = (struct ledgerdb_folio){.first = l->first, .last = l->last, .data = {l->blob, l->bytes}};
	r = put(j, &row);
	leaf_free(l);
	return r;
}

static bool is_set(struct span bits, size_t i)
{
	return i / 8 < bits.len && (bits.at[i / 8] >> i % 8 & 1);
}

/* 0, or -errno of the new file; what is wrong with the row is counted. */
static int take(struct job *j, const struct ledgerdb_folio *row)
{
	struct folio_reader reader;
	struct folio_entry e, *good;
	size_t count = 0, damaged = 0;
	int r;

	if (row->first <= j->result->last || folio_open(&reader, row->data.at, row->data.len, row->first) < 0) {
		j->result->unknown = true;
		return 0;
	}
	good = calloc(reader.count, sizeof(*good));
	if (!good)
		return -ENOMEM;
	for (size_t i = 0; (r = folio_next(&reader, &e)) != FOLIO_END; i++) {
		if (is_set(row->dead, i))
			continue;
		if (r == 0)
			good[count++] = e;
		else
			damaged++;
	}
	j->result->entries += count;
	j->result->lost += damaged;
	r = damaged || e.number != row->last ? put_good(j, good, count) : put(j, row);
	free(good);
	return r;
}

static int is_folio(const struct carve_row *row)
{
	struct folio_reader r;

	return folio_open(&r, row->data.at, row->data.len, (uint64_t)row->ints[0]);
}

/* The least number behind which the tree can be walked again: it cannot behind `bad`, it can behind `good`. */
static uint64_t bisect(struct job *j, uint64_t bad, uint64_t good)
{
	uint64_t last;

	while (good - bad > 1) {
		uint64_t mid = bad + (good - bad) / 2;

		if (ledgerdb_find(j->from, mid, &last) >= 0)
			good = mid;
		else
			bad = mid;
	}
	return good;
}

/* Behind a place where the tree cannot be walked: 0 with a number to go on behind, or DB_END. */
static int skip(struct job *j, uint64_t *after)
{
	uint64_t last;

	j->result->unknown = true;
	for (uint64_t step = 1; *after + step < INT64_MAX; step *= 2)
		if (ledgerdb_find(j->from, *after + step, &last) >= 0) {
			*after = bisect(j, *after + step / 2, *after + step);
			return 0;
		}
	return DB_END;
}

static const struct carve_kind folios = {.ints = 1, .check = is_folio, .not_freed = true};

/* Folios with last numbers behind `after` and up to `to`, that no tree leads to. */
static int take_carved(struct job *j, uint64_t after, uint64_t to)
{
	struct carve_row row;
	int r = j->carve ? 0 : carve_new(&j->carve, j->from_path, &folios);

	while (r == 0 && (r = carve_next(j->carve, after, &row)) == 0 && row.key <= to) {
		struct ledgerdb_folio f = {.first = (uint64_t)row.ints[0], .last = row.key, .data = row.data};

		after = row.key;
		if (ledgerdb_get_dead(j->from, f.last, &f.dead) != 0)
			f.dead = (struct span){0};
		r = take(j, &f);
		ledgerdb_done(j->from);
	}
	return r == DB_END ? 0 : r;
}

/* Where the tree cannot be walked behind *after: DB_END when it cannot be behind anything any more. */
static int cross(struct job *j, uint64_t *after)
{
	uint64_t from = *after;
	int end = skip(j, after), r = take_carved(j, from, end ? INT64_MAX : *after);

	return r < 0 ? r : end;
}

/* The next row that can be read, in the tree or beside it. 0, DB_END, or -EAGAIN: nothing of this one. */
static int next(struct job *j, uint64_t *after, struct ledgerdb_folio *row)
{
	uint64_t last;
	int r = ledgerdb_get(j->from, *after, row);

	if (r == DB_END)
		return r;
	if (r == 0 && row->last > *after) {
		*after = row->last;
		return 0;
	}
	r = ledgerdb_find(j->from, *after, &last);
	if (r == DB_END)
		return r;
	if (r < 0 || last <= *after) {
		r = cross(j, after);
		return r == 0 ? -EAGAIN : r;
	}
	*after = last;
	j->result->unknown = true;
	row->dead = (struct span){0};
	return ledgerdb_get_at(j->from, last, row) == 0 ? 0 : -EAGAIN; /* perhaps it was the dead bits alone */
}

static int copy(struct job *j)
{
	struct ledgerdb_folio row;
	uint64_t after = 0;
	int r;

	while ((r = next(j, &after, &row)) != DB_END) {
		if (r == 0 && row.last >= row.first)
			r = take(j, &row);
		ledgerdb_done(j->from);
		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return 0;
}

int rescue_each(struct ledgerdb *from, const char *from_path, int (*each)(void *ctx, const struct ledgerdb_folio *row),
	void *ctx, struct rescue_result *out)
{
	struct job j = {.from = from, .from_path = from_path, .put = each, .ctx = ctx, .result = out};
	int r = 0;

	*out = (struct rescue_result){.unknown = !from};
	if (from) {
		r = copy(&j);
		ledgerdb_rollback(from);
		carve_free(j.carve);
	}
	return r;
}

/* --- into a new file ---------------------------------------------------------------------------------------------- */

struct target {
	struct ledgerdb *db;
	size_t bytes; /* since the last commit */
};

static int write_row(void *ctx, const struct ledgerdb_folio *row)
{
	struct target *t = ctx;
	int r = ledgerdb_put(t->db, row);

	if (r == 0 && row->dead.len > 0)
		r = ledgerdb_put_dead(t->db, row->last, row->dead);
	t->bytes += row->data.len;
	if (r < 0 || t->bytes < PIECE_BYTES)
		return r;
	t->bytes = 0;
	r = ledgerdb_commit(t->db);
	if (r == 0)
		r = ledgerdb_checkpoint(t->db, true);
	return r == 0 ? ledgerdb_begin(t->db) : r;
}

/* The room that it may have is used up, and not the disk. */
static bool is_at_bound(struct ledgerdb *to)
{
	struct db_size s;

	return ledgerdb_size(to, &s) == 0 && s.pages + SPARE_PAGES >= s.max_pages;
}

int rescue(struct ledgerdb *from, const char *from_path, struct ledgerdb *to, uint64_t limit, struct rescue_result *out)
{
	struct target target = {.db = to};
	int r = ledgerdb_begin(to);

	if (r == 0)
		r = rescue_each(from, from_path, write_row, &target, out);
	if (r == -ENOSPC && is_at_bound(to)) {
		log_error("ledger salvage=partial; there is no room for all of it, the rest stays in the old file");
		out->unknown = true;
		ledgerdb_rollback(to);
		r = ledgerdb_begin(to);
	}
	if (limit <= out->last)
		limit = out->last + RESCUE_LEAP;
	if (r == 0)
		r = ledgerdb_set_limit(to, limit);
	r = ledgerdb_end(to, r);
	return r == 0 ? ledgerdb_empty_wal(to) : r;
}
