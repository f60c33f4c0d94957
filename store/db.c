/* SPDX-License-Identifier: MIT */
#include "store/db.h"

#include "store/sql.h"

#include <errno.h>
#include <stdlib.h>

enum statement {
	S_BLOCK_PUT,
	S_BLOCK_DROP,
	S_BLOCK_GET,
	S_BLOCK_HEAD,
	S_BLOCK_TAIL,
	S_MARK_SET,
	S_MARK_GET,
	S_MARK_DROP,
	S_MARK_EACH,
};

static const struct sql_words words[SQL_WORDS] = {
	[S_BLOCK_PUT] = {"INSERT INTO block(last,span,classes,from_ms,to_ms,data) VALUES(?,?,?,?,?,?)", true},
	[S_BLOCK_DROP] = {"DELETE FROM block WHERE last BETWEEN ? AND ?", true},
	[S_BLOCK_GET] = {"SELECT last,span,classes,from_ms,to_ms,length(data),data FROM block"
			 " WHERE last>? ORDER BY last LIMIT 1",
		false},
	[S_BLOCK_HEAD] = {"SELECT last,span,classes,from_ms,to_ms,length(data) FROM block"
			  " WHERE last>? ORDER BY last LIMIT 1",
		false},
	[S_BLOCK_TAIL] = {"SELECT last,span,classes,from_ms,to_ms,length(data) FROM block"
			  " ORDER BY last DESC LIMIT 1",
		false},
	[S_MARK_SET] = {"INSERT INTO mark(name,value) VALUES(?,?)"
			" ON CONFLICT(name) DO UPDATE SET value=excluded.value",
		true},
	[S_MARK_GET] = {"SELECT value FROM mark WHERE name=?", false},
	[S_MARK_DROP] = {"DELETE FROM mark WHERE name=?", true},
	[S_MARK_EACH] = {"SELECT name,value FROM mark ORDER BY name", false},
};

static const char schema[] =
	"CREATE TABLE block(last INTEGER PRIMARY KEY, span INTEGER NOT NULL, classes INTEGER NOT NULL,"
	" from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, data BLOB NOT NULL) STRICT;"
	"CREATE TABLE mark(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

static const char *const upgrades[DB_VERSION - 1] = {""};
static const struct sql_kind kind = {0x57454952, DB_VERSION, schema, upgrades, words}; /* WEIR */

struct db {
	struct sql sql;
};

/* --- opening ----------------------------------------------------------------------------------------------------- */

int db_open(struct db **out, const char *path, const struct db_opts *opts)
{
	struct db *d = *out = calloc(1, sizeof(*d));

	return d ? sql_open(&d->sql, path, &kind, opts) : -ENOMEM;
}

static int open_reader(struct db **out, const char *path, bool damaged)
{
	struct db *d = *out = calloc(1, sizeof(*d));

	return d ? sql_open_reader(&d->sql, path, &kind, damaged) : -ENOMEM;
}

int db_open_reader(struct db **out, const char *path)
{
	return open_reader(out, path, false);
}

int db_open_damaged(struct db **out, const char *path)
{
	return open_reader(out, path, true);
}

void db_close(struct db *d)
{
	if (!d)
		return;
	sql_close(&d->sql);
	free(d);
}

const char *db_text(const struct db *d)
{
	return d && d->sql.text[0] ? d->sql.text : "no details";
}

/* --- what is every file's ---------------------------------------------------------------------------------------- */

int db_begin(struct db *d)
{
	return sql_begin(&d->sql);
}

int db_begin_read(struct db *d)
{
	return sql_begin_read(&d->sql);
}

int db_commit(struct db *d)
{
	return sql_commit(&d->sql);
}

void db_rollback(struct db *d)
{
	sql_rollback(&d->sql);
}

int db_end(struct db *d, int r)
{
	return sql_end(&d->sql, r);
}

int db_size(struct db *d, struct db_size *out)
{
	return sql_size(&d->sql, out);
}

int db_checkpoint(struct db *d, bool always)
{
	return sql_checkpoint(&d->sql, always);
}

int db_give_back(struct db *d, int64_t pages)
{
	return sql_give_back(&d->sql, pages);
}

int db_empty_wal(struct db *d)
{
	return sql_empty_wal(&d->sql);
}

int db_check(struct db *d, int64_t budget_ms)
{
	return sql_check(&d->sql, budget_ms);
}

/* --- blocks ------------------------------------------------------------------------------------------------------ */

static sqlite3_stmt *use(struct db *d, enum statement s)
{
	return sql_use(&d->sql, s);
}

int db_block_put(struct db *d, const struct db_block *b)
{
	sqlite3_stmt *st = use(d, S_BLOCK_PUT);
	int r;

	sqlite3_bind_int64(st, 1, (sqlite3_int64)b->last);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)(b->last - b->first));
	sqlite3_bind_int64(st, 3, (sqlite3_int64)b->classes);
	sqlite3_bind_int64(st, 4, b->from_ms);
	sqlite3_bind_int64(st, 5, b->to_ms);
	if (sqlite3_bind_blob64(st, 6, b->data.at, b->data.len, SQLITE_STATIC) != SQLITE_OK)
		return -EMSGSIZE;
	r = sql_run(&d->sql, st);
	sqlite3_clear_bindings(st); /* the bytes are the caller's again */
	return r;
}

int db_block_drop(struct db *d, uint64_t from, uint64_t to)
{
	sqlite3_stmt *st = use(d, S_BLOCK_DROP);

	sqlite3_bind_int64(st, 1, (sqlite3_int64)from);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)to);
	return sql_run(&d->sql, st);
}

static void head_of(sqlite3_stmt *st, struct db_block *out)
{
	out->last = (uint64_t)sqlite3_column_int64(st, 0);
	out->first = out->last - (uint64_t)sqlite3_column_int64(st, 1);
	out->classes = (uint64_t)sqlite3_column_int64(st, 2);
	out->from_ms = sqlite3_column_int64(st, 3);
	out->to_ms = sqlite3_column_int64(st, 4);
	out->data = (struct span){NULL, (size_t)sqlite3_column_int64(st, 5)};
}

int db_block_get(struct db *d, uint64_t after, struct db_block *out)
{
	sqlite3_stmt *st = use(d, S_BLOCK_GET);
	int r;

	sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
	r = sql_row(&d->sql, st);
	if (r)
		return r;
	head_of(st, out);
	out->data.at = sqlite3_column_blob(st, 6);
	if (!out->data.at && out->data.len > 0) {
		r = sql_result(&d->sql, sqlite3_errcode(d->sql.handle));
		return r ? r : -ENOMEM;
	}
	return 0;
}

static int head(struct db *d, sqlite3_stmt *st, struct db_block *out)
{
	int r = sql_row(&d->sql, st);

	if (r)
		return r;
	head_of(st, out);
	sqlite3_reset(st);
	return 0;
}

int db_block_head(struct db *d, uint64_t after, struct db_block *out)
{
	sqlite3_stmt *st = use(d, S_BLOCK_HEAD);

	sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
	return head(d, st, out);
}

int db_block_tail(struct db *d, struct db_block *out)
{
	return head(d, use(d, S_BLOCK_TAIL), out);
}

void db_block_done(struct db *d)
{
	sql_done(&d->sql, S_BLOCK_GET);
}

/* --- marks ------------------------------------------------------------------------------------------------------- */

int db_mark_set(struct db *d, const char *name, uint64_t value)
{
	sqlite3_stmt *st = use(d, S_MARK_SET);

	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)value);
	return sql_run(&d->sql, st);
}

int db_mark_get(struct db *d, const char *name, uint64_t *value)
{
	sqlite3_stmt *st = use(d, S_MARK_GET);
	int r;

	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	r = sql_row(&d->sql, st);
	if (r)
		return r;
	*value = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

int db_mark_drop(struct db *d, const char *name)
{
	sqlite3_stmt *st = use(d, S_MARK_DROP);

	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	return sql_run(&d->sql, st);
}

int db_mark_each(struct db *d, bool (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	sqlite3_stmt *st = use(d, S_MARK_EACH);
	int r;

	while ((r = sql_row(&d->sql, st)) == 0) {
		const char *name = (const char *)sqlite3_column_text(st, 0);

		if (!name)
			r = -ENOMEM;
		if (!name || !each(ctx, name, (uint64_t)sqlite3_column_int64(st, 1)))
			break;
	}
	sqlite3_reset(st);
	return r == DB_END ? 0 : r;
}
