/* SPDX-License-Identifier: MIT */
#include "store/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- results ----------------------------------------------------------------------------------------------------- */

static int code_of(const struct sql *q, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_MISMATCH: return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_PROTOCOL: /* the locks of the WAL moved under us, time and again */
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH: return -EACCES;
	case SQLITE_CONSTRAINT: return -EEXIST;
	default: break;
	}
	switch (q->handle ? sqlite3_system_errno(q->handle) : 0) {
	case ENOSPC:
	case EDQUOT: return -ENOSPC;
	case EACCES:
	case EPERM: return -EACCES;
	case EROFS: return -EROFS;
	case ENOENT: return (rc & 0xff) == SQLITE_CANTOPEN ? -ENOENT : -EIO;
	default: return -EIO;
	}
}

int sql_result(struct sql *q, int rc)
{
	int code = code_of(q, rc);

	if (code < 0)
		snprintf(q->text, sizeof(q->text), "%s (%d)", q->handle ? sqlite3_errmsg(q->handle) : "no memory", rc);
	return code;
}

/* --- statements -------------------------------------------------------------------------------------------------- */

int sql_exec(struct sql *q, const char *words)
{
	return sql_result(q, sqlite3_exec(q->handle, words, NULL, NULL, NULL));
}

/* The one number that a pragma answers with; text answers are compared with want and give 1 or 0. */
int sql_ask(struct sql *q, const char *words, const char *want, int64_t *out)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(q->handle, words, -1, &st, NULL);
	int r;

	*out = 0;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && want) {
		const char *got = (const char *)sqlite3_column_text(st, 0);

		*out = got && strcmp(got, want) == 0;
	} else if (rc == SQLITE_ROW) {
		*out = sqlite3_column_int64(st, 0);
	}
	r = sql_result(q, rc);
	sqlite3_finalize(st);
	return r;
}

static int prepare(struct sql *q, const char *words, sqlite3_stmt **out)
{
	return sql_result(q, sqlite3_prepare_v3(q->handle, words, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

static sqlite3_stmt *again(sqlite3_stmt *st)
{
	sqlite3_reset(st); /* reports the failure of the last use again: it was seen then */
	return st;
}

sqlite3_stmt *sql_use(struct sql *q, int s)
{
	return again(q->stmt[s]);
}

void sql_done(struct sql *q, int s)
{
	sqlite3_reset(q->stmt[s]);
}

int sql_run(struct sql *q, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);
	int r = sql_result(q, rc == SQLITE_ROW ? SQLITE_OK : rc);

	sqlite3_reset(st);
	return r;
}

/* 0 with a row to read, DB_END, or -errno; the row stays until the statement is reset. */
int sql_row(struct sql *q, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st), r;

	if (rc == SQLITE_ROW)
		return 0;
	r = rc == SQLITE_DONE ? DB_END : sql_result(q, rc);
	sqlite3_reset(st);
	return r;
}

/* --- transactions ------------------------------------------------------------------------------------------------ */

enum own { BEGIN, BEGIN_READ, COMMIT, ROLLBACK, PAGES, FREE_PAGES };

static const char *const own_words[SQL_OWN] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[BEGIN_READ] = "BEGIN",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[PAGES] = "PRAGMA page_count",
	[FREE_PAGES] = "PRAGMA freelist_count",
};

int sql_prepare_all(struct sql *q, bool writer)
{
	int r = 0;

	for (int i = 0; r == 0 && i < SQL_OWN; i++)
		r = prepare(q, own_words[i], &q->own[i]);
	for (int s = 0; r == 0 && s < SQL_WORDS; s++)
		if (q->kind->words[s].text && (writer || !q->kind->words[s].writes))
			r = prepare(q, q->kind->words[s].text, &q->stmt[s]);
	return r;
}

static int run_own(struct sql *q, enum own o)
{
	return sql_run(q, again(q->own[o]));
}

int sql_begin(struct sql *q)
{
	return run_own(q, BEGIN);
}

int sql_begin_read(struct sql *q)
{
	return run_own(q, BEGIN_READ);
}

static int ask_own(struct sql *q, enum own o, int64_t *out)
{
	sqlite3_stmt *st = again(q->own[o]);
	int r = sql_row(q, st);

	*out = r == 0 ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	return r == DB_END ? -EIO : r;
}

/* Asked within a transaction it costs no locks. */
static int ask_pages(struct sql *q, int64_t *pages, int64_t *free_pages)
{
	int r = ask_own(q, PAGES, pages);

	return r == 0 ? ask_own(q, FREE_PAGES, free_pages) : r;
}

int sql_commit(struct sql *q)
{
	int64_t pages, free_pages;
	int r;

	/* SQLITE_FULL and I/O errors may have rolled all of it back already: then there is nothing to commit. */
	if (sqlite3_get_autocommit(q->handle))
		return -EIO;
	r = ask_pages(q, &pages, &free_pages);
	if (r == 0)
		r = sql_grow(q, pages);
	if (r == 0)
		r = run_own(q, COMMIT);
	if (r == 0) {
		q->pages = pages;
		q->free_pages = free_pages;
	}
	return r;
}

void sql_rollback(struct sql *q)
{
	for (int s = 0; s < SQL_WORDS; s++)
		sql_done(q, s);
	if (q->handle && !sqlite3_get_autocommit(q->handle))
		run_own(q, ROLLBACK);
}

int sql_end(struct sql *q, int r)
{
	if (r == 0)
		r = sql_commit(q);
	if (r != 0)
		sql_rollback(q);
	return r;
}

/* --- size and checkpoints ---------------------------------------------------------------------------------------- */

int sql_size(struct sql *q, struct db_size *out)
{
	*out = (struct db_size){.pages = q->pages,
		.free_pages = q->free_pages,
		.max_pages = q->max_pages,
		.wal_frames = q->wal_frames,
		.reserved = q->reserved};
	/* Between its transactions the one who writes knows: nobody else changes the file. */
	return q->pages > 0 && sqlite3_get_autocommit(q->handle) ? 0 : ask_pages(q, &out->pages, &out->free_pages);
}

static int on_commit(void *ctx, sqlite3 *handle, const char *name, int frames)
{
	struct sql *q = ctx;

	(void)handle;
	(void)name;
	q->wal_frames = frames;
	return SQLITE_OK;
}

void sql_count_frames(struct sql *q)
{
	sqlite3_wal_hook(q->handle, on_commit, q);
}

/* Room for the WAL is taken behind the end of the file, where SQLite does not see it. Nothing is locked on the WAL
 * itself, so a second descriptor does no harm there; on the database it would drop SQLite's locks. */
void sql_reserve_wal(struct sql *q)
{
	enum { LEAST_WAL = 64 * 1024 };
	int64_t most = q->opts.wal_bytes * 2;
	char name[4096];
	int fd;

	if (!q->opts.preallocate || snprintf(name, sizeof(name), "%s-wal", q->path) >= (int)sizeof(name))
		return;
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	for (int64_t bytes = most; bytes >= LEAST_WAL; bytes /= 2) {
		int r = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);

		q->reserved &= r == 0;
		if (r == 0 || errno != ENOSPC)
			break; /* else less of it is better than nothing */
	}
	close(fd);
}

int sql_checkpoint(struct sql *q, bool always)
{
	int frames = 0, moved = 0, rc;

	if (!always && q->wal_frames * DB_FRAME < q->opts.wal_bytes)
		return 0;
	q->roomy = 0; /* it cuts the file to what is in it */
	rc = sqlite3_wal_checkpoint_v2(q->handle, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
	if (rc != SQLITE_OK)
		return sql_result(q, rc);
	if (frames >= 0 && frames == moved)
		q->wal_frames = 0; /* the next commit starts it over, if no reader is in it */
	return 0;
}

int sql_give_wal(struct sql *q)
{
	q->roomy = 0;
	return sql_result(q, sqlite3_wal_checkpoint_v2(q->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
}

int sql_empty_wal(struct sql *q)
{
	int r = sql_give_wal(q);

	if (r == 0)
		sql_reserve_wal(q); /* the next start may be on a full disk */
	return r;
}
