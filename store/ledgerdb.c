/* SPDX-License-Identifier: MIT */
#include "store/ledgerdb.h"

#include "store/sql.h"

#include <errno.h>
#include <stdlib.h>

enum statement { PUT, DROP, DROP_DEAD, PUT_DEAD, GET, GET_AT, GET_DEAD, FIND, SET_LIMIT, GET_LIMIT };

static const struct sql_words words[SQL_WORDS] = {
	[PUT] = {"INSERT OR REPLACE INTO folio(last,first,data) VALUES(?,?,?)", true},
	[DROP] = {"DELETE FROM folio WHERE last=?", true},
	[DROP_DEAD] = {"DELETE FROM dead WHERE last=?", true},
	[PUT_DEAD] = {"INSERT OR REPLACE INTO dead(last,bits) VALUES(?,?)", true},
	[GET] = {"SELECT f.last,f.first,f.data,d.bits FROM folio f LEFT JOIN dead d ON d.last=f.last"
		 " WHERE f.last>? ORDER BY f.last LIMIT 1",
		false},
	[GET_AT] = {"SELECT last,first,data,NULL FROM folio WHERE last=?", false},
	[GET_DEAD] = {"SELECT bits FROM dead WHERE last=?", false},
	[FIND] = {"SELECT last FROM folio WHERE last>? ORDER BY last LIMIT 1", false},
	[SET_LIMIT] = {"INSERT OR REPLACE INTO mark(name,value) VALUES('limit',?)", true},
	[GET_LIMIT] = {"SELECT value FROM mark WHERE name='limit'", false},
};

static const char schema[] =
	"CREATE TABLE folio(last INTEGER PRIMARY KEY, first INTEGER NOT NULL, data BLOB NOT NULL) STRICT;"
	"CREATE TABLE dead(last INTEGER PRIMARY KEY, bits BLOB NOT NULL) STRICT;"
	"CREATE TABLE mark(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

static const struct sql_kind kind = {0x57454c47, LEDGERDB_VERSION, schema, NULL, words}; /* WELG */

struct ledgerdb {
	struct sql sql;
};

/* --- opening ----------------------------------------------------------------------------------------------------- */

int ledgerdb_open(struct ledgerdb **out, const char *path, const struct db_opts *opts)
{
	struct ledgerdb *d = *out = calloc(1, sizeof(*d));

	return d ? sql_open(&d->sql, path, &kind, opts) : -ENOMEM;
}

int ledgerdb_open_reader(struct ledgerdb **out, const char *path, bool damaged)
{
	struct ledgerdb *d = *out = calloc(1, sizeof(*d));

	return d ? sql_open_reader(&d->sql, path, &kind, damaged) : -ENOMEM;
}

int ledgerdb_open_alone(struct ledgerdb **out, const char *path, bool damaged)
{
	struct ledgerdb *d = *out = calloc(1, sizeof(*d));

	return d ? sql_open_alone(&d->sql, path, &kind, damaged) : -ENOMEM;
}

void ledgerdb_close(struct ledgerdb *d)
{
	if (!d)
		return;
	sql_close(&d->sql);
	free(d);
}

const char *ledgerdb_text(const struct ledgerdb *d)
{
	return d && d->sql.text[0] ? d->sql.text : "no details";
}

/* --- what is every file's ---------------------------------------------------------------------------------------- */

int ledgerdb_begin(struct ledgerdb *d)
{
	return sql_begin(&d->sql);
}

int ledgerdb_begin_read(struct ledgerdb *d)
{
	return sql_begin_read(&d->sql);
}

int ledgerdb_commit(struct ledgerdb *d)
{
	return sql_commit(&d->sql);
}

void ledgerdb_rollback(struct ledgerdb *d)
{
	sql_rollback(&d->sql);
}

int ledgerdb_end(struct ledgerdb *d, int r)
{
	return sql_end(&d->sql, r);
}

int ledgerdb_size(struct ledgerdb *d, struct db_size *out)
{
	return sql_size(&d->sql, out);
}

int ledgerdb_checkpoint(struct ledgerdb *d, bool always)
{
	return sql_checkpoint(&d->sql, always);
}

int ledgerdb_empty_wal(struct ledgerdb *d)
{
	return sql_empty_wal(&d->sql);
}

int ledgerdb_give_wal(struct ledgerdb *d)
{
	return sql_give_wal(&d->sql);
}

/* --- folios ------------------------------------------------------------------------------------------------------ */

static int run_with(struct ledgerdb *d, enum statement s, uint64_t number)
{
	sqlite3_stmt *st = sql_use(&d->sql, s);

	sqlite3_bind_int64(st, 1, (sqlite3_int64)number);
	return sql_run(&d->sql, st);
}

static int run_with_blob(struct ledgerdb *d, sqlite3_stmt *st, int at, struct span bytes)
{
	int r;

	if (sqlite3_bind_blob64(st, at, bytes.at, bytes.len, SQLITE_STATIC) != SQLITE_OK)
		return -EMSGSIZE;
	r = sql_run(&d->sql, st);
	sqlite3_clear_bindings(st); /* the bytes are the caller's again */
	return r;
}

int ledgerdb_put(struct ledgerdb *d, const struct ledgerdb_folio *f)
{
	sqlite3_stmt *st = sql_use(&d->sql, PUT);

	sqlite3_bind_int64(st, 1, (sqlite3_int64)f->last);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)f->first);
	return run_with_blob(d, st, 3, f->data);
}

int ledgerdb_drop(struct ledgerdb *d, uint64_t last)
{
	int r = run_with(d, DROP, last);

	return r == 0 ? run_with(d, DROP_DEAD, last) : r;
}

int ledgerdb_put_dead(struct ledgerdb *d, uint64_t last, struct span bits)
{
	sqlite3_stmt *st = sql_use(&d->sql, PUT_DEAD);

	sqlite3_bind_int64(st, 1, (sqlite3_int64)last);
	return run_with_blob(d, st, 2, bits);
}

/* A column that cannot be read is not an empty one. */
static int get_blob(struct ledgerdb *d, sqlite3_stmt *st, int column, struct span *out)
{
	const void *at = sqlite3_column_blob(st, column);
	int len = sqlite3_column_bytes(st, column), r;

	*out = (struct span){at, at ? (size_t)len : 0};
	if (at || sqlite3_column_type(st, column) == SQLITE_NULL)
		return 0;
	r = sql_result(&d->sql, sqlite3_errcode(d->sql.handle));
	return r ? r : -EBADMSG; /* an empty blob was never written */
}

static int get(struct ledgerdb *d, enum statement s, uint64_t number, struct ledgerdb_folio *out)
{
	sqlite3_stmt *st = sql_use(&d->sql, s);
	int r;

	sqlite3_bind_int64(st, 1, (sqlite3_int64)number);
	r = sql_row(&d->sql, st);
	if (r)
		return r;
	out->last = (uint64_t)sqlite3_column_int64(st, 0);
	out->first = (uint64_t)sqlite3_column_int64(st, 1);
	r = get_blob(d, st, 2, &out->data);
	return r ? r : get_blob(d, st, 3, &out->dead);
}

int ledgerdb_get(struct ledgerdb *d, uint64_t after, struct ledgerdb_folio *out)
{
	return get(d, GET, after, out);
}

int ledgerdb_get_at(struct ledgerdb *d, uint64_t last, struct ledgerdb_folio *out)
{
	return get(d, GET_AT, last, out);
}

int ledgerdb_get_dead(struct ledgerdb *d, uint64_t last, struct span *bits)
{
	sqlite3_stmt *st = sql_use(&d->sql, GET_DEAD);
	int r;

	sqlite3_bind_int64(st, 1, (sqlite3_int64)last);
	r = sql_row(&d->sql, st);
	return r ? r : get_blob(d, st, 0, bits);
}

void ledgerdb_done(struct ledgerdb *d)
{
	sql_done(&d->sql, GET_DEAD);
	sql_done(&d->sql, GET);
	sql_done(&d->sql, GET_AT);
}

/* The number that a statement gives. */
static int get_number(struct ledgerdb *d, sqlite3_stmt *st, uint64_t *out)
{
	int r = sql_row(&d->sql, st);

	if (r)
		return r;
	*out = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

int ledgerdb_find(struct ledgerdb *d, uint64_t after, uint64_t *last)
{
	sqlite3_stmt *st = sql_use(&d->sql, FIND);

	sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
	return get_number(d, st, last);
}

int ledgerdb_set_limit(struct ledgerdb *d, uint64_t limit)
{
	return run_with(d, SET_LIMIT, limit);
}

int ledgerdb_limit(struct ledgerdb *d, uint64_t *limit)
{
	int r = get_number(d, sql_use(&d->sql, GET_LIMIT), limit);

	if (r == DB_END)
		*limit = 0;
	return r == DB_END ? 0 : r;
}
