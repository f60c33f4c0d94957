/* SPDX-License-Identifier: MIT */
/* Opening, replaying, closing and mending broker.db. */
#include "base/log.h"
#include "store/aside.h"
#include "store/keeper_parts.h"
#include "store/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct db_opts db_opts(const struct keeper *k)
{
	return (struct db_opts){k->opts.sync, k->opts.preallocate, keeper_file_bytes(k->opts.max_bytes),
		keeper_wal_bytes(k->opts.max_bytes)};
}

static int find_next(struct keeper *k)
{
	uint64_t limit = 0;
	int r = ledgerdb_limit(k->db, &limit);

	if (r < 0)
		return r;
	k->limit = limit > k->limit ? limit : k->limit;
	k->next = k->limit > k->next ? k->limit : k->next;
	return 0;
}

static int attach(struct keeper *k)
{
	struct db_opts o = db_opts(k);
	int r = ledgerdb_open(&k->db, k->path, &o);

	k->alone = false;
	if (r == 0)
		r = ledgerdb_size(k->db, &k->size);
	return r == 0 ? find_next(k) : r;
}

static void detach(struct keeper *k)
{
	ledgerdb_close(k->db);
	k->db = NULL;
}

/* --- damage ------------------------------------------------------------------------------------------------------ */

struct rescue_job {
	struct keeper *keeper;
	struct aside aside;
	struct rescue_result result;
};

/* NULL: nothing can be read. */
static struct ledgerdb *open_old(const struct aside *a, const char *old_path, const char *new_path)
{
	struct ledgerdb *old;
	int r = ledgerdb_open_reader(&old, old_path, true);

	if (r == -EBADMSG && aside_graft(a, old_path, new_path) == 0) {
		ledgerdb_close(old);
		r = ledgerdb_open_reader(&old, old_path, true);
	}
	if (r == 0)
		return old;
	log_error("ledger file=%s unreadable=\"%s\"; nothing of it is salvaged", old_path, ledgerdb_text(old));
	ledgerdb_close(old);
	return NULL;
}

static int fill(void *ctx, const char *old_path, const char *new_path)
{
	struct rescue_job *j = ctx;
	struct db_opts o = db_opts(j->keeper);
	struct ledgerdb *to, *from;
	uint64_t limit = 0;
	int r = ledgerdb_open(&to, new_path, &o);

	if (r == 0) {
		from = open_old(&j->aside, old_path, new_path);
		if (from && ledgerdb_limit(from, &limit) < 0)
			limit = 0;
		limit = j->keeper->limit > limit ? j->keeper->limit : limit;
		r = rescue(from, old_path, to, limit, &j->result);
		ledgerdb_close(from);
	}
	ledgerdb_close(to);
	return r;
}

/* The files of a damaged database are set aside, and a new one is filled from them. */
static int start_over(struct keeper *k, int64_t wall_ms)
{
	struct rescue_job j = {k, {k->dir, "broker", wall_ms}, {0}};
	int r;

	log_error("ledger file=%s state=damaged reason=\"%s\"; what can be read is salvaged", k->path,
		ledgerdb_text(k->db));
	detach(k);
	r = aside_replace(&j.aside, fill, &j);
	k->salvaged += j.result.entries;
	k->lost += j.result.lost;
	log_warn("ledger salvaged=%llu lost=%llu%s error=%d", (unsigned long long)j.result.entries,
		(unsigned long long)j.result.lost, j.result.unknown ? " and perhaps more" : "", -r);
	return r == 0 ? attach(k) : r;
}

static int open_files(struct keeper *k, int64_t wall_ms)
{
	struct aside a = {k->dir, "broker", wall_ms};
	int r = faccessat(AT_FDCWD, k->dir, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : aside_resume(&a);

	if (r == 0)
		r = attach(k);
	return r == -EBADMSG ? start_over(k, wall_ms) : r;
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

/* A disk that is full, or fails, is waited for: what is there is read as far as that needs no room, and what comes waits
 * in memory. */
static int open_to_wait(struct keeper *k, int error)
{
	struct stat st;
	int r = 0;

	if (error != -ENOSPC && error != -EIO)
		return error;
	log_warn("ledger file=%s error=%d reason=\"%s\"; it is opened for writing when the disk lets it", k->path,
		-error, ledgerdb_text(k->db));
	detach(k);
	k->size.max_pages = keeper_file_bytes(k->opts.max_bytes) / DB_PAGE;
	if (stat(k->path, &st) < 0 || st.st_size == 0)
		return 0;
	r = ledgerdb_open_alone(&k->db, k->path);
	if (r == 0)
		r = find_next(k);
	k->alone = r == 0;
	return r;
}

static void dispose(struct keeper *k)
{
	if (!k)
		return;
	ledgerdb_close(k->db);
	book_fini(&k->book);
	free(k->bits);
	free(k->dir);
	free(k);
}

int keeper_open(struct keeper **out, const struct keeper_opts *opts, int64_t wall_ms)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int r = k ? 0 : -ENOMEM;

	if (r == 0) {
		k->opts = *opts;
		k->next = 1;
		k->dir = strdup(opts->dir);
		k->opts.dir = k->dir;
		r = k->dir ? 0 : -ENOMEM;
	}
	if (r == 0 && snprintf(k->path, sizeof(k->path), "%s/broker.db", k->dir) >= (int)sizeof(k->path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = open_files(k, wall_ms);
	if (r < 0 && k && k->dir)
		r = open_to_wait(k, r);
	if (r < 0) {
		log_error("ledger dir=%s error=%d reason=\"%s\"", opts->dir, -r,
			k && k->db ? ledgerdb_text(k->db) : strerror(-r));
		dispose(k);
		return r;
	}
	*out = k;
	return 0;
}

/* --- replay ------------------------------------------------------------------------------------------------------ */

struct walk {
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

int keeper_replay(
	struct keeper *k, int (*each)(void *arg, uint64_t number, struct span bytes), void *arg, int64_t wall_ms)
{
	struct walk w = {.each = each, .arg = arg};
	int r = k->db ? load(k, &w) : 0;

	if (r == -EBADMSG && !k->alone) {
		book_fini(&k->book);
		r = start_over(k, wall_ms);
		if (r == 0)
			r = load(k, &w); /* what was told already is not told again */
	}
	if (k->alone)
		detach(k); /* the first commit opens it for writing */
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
	struct walk silent = {.after = UINT64_MAX};
	int r;

	k->book = (struct book){0};
	k->tidied = k->passed = 0;
	if (damaged && k->db) {
		r = start_over(k, wall_ms);
	} else {
		detach(k);
		r = open_files(k, wall_ms);
	}
	if (r == 0)
		r = load(k, &silent);
	if (r == 0)
		r = reconcile(k, &before, lost);
	if (r == 0) {
		book_fini(&before);
		return 0;
	}
	book_fini(&k->book);
	k->book = before;
	detach(k);
	return r;
}

/* --- closing ----------------------------------------------------------------------------------------------------- */

void keeper_close(struct keeper *k)
{
	int r = k && k->db ? ledgerdb_empty_wal(k->db) : 0;

	if (r < 0)
		log_warn("ledger checkpoint=failed error=%d; the next start reads the write-ahead log", -r);
	dispose(k);
}
