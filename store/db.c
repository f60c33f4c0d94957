/* SPDX-License-Identifier: MIT */
/* The settings, and why: WAL with synchronous=FULL is one fsync for each commit; checkpoints are driven from here and
 * not by SQLite, so that they fall between two commits; secure_delete is on in Debian's build and would write each
 * freed page once more; the WAL file is kept on close and its room is taken at the start, since a database that
 * cannot write its WAL cannot even delete. */
#include "store/db.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	APPLICATION_ID = 0x57454952, /* WEIR */
	BUSY_MS = 2000,
	WAL_FRAME = DB_PAGE + 24,
};

enum statement {
	S_BEGIN,
	S_BEGIN_READ,
	S_COMMIT,
	S_ROLLBACK,
	S_BLOCK_PUT,
	S_BLOCK_DROP,
	S_BLOCK_GET,
	S_BLOCK_HEAD,
	S_BLOCK_TAIL,
	S_MARK_SET,
	S_MARK_GET,
	S_MARK_DROP,
	S_MARK_EACH,
	S_PAGES,
	S_FREE_PAGES,
	N_STATEMENTS,
};

static const struct {
	const char *sql;
	bool writes;
} statements[N_STATEMENTS] = {
	[S_BEGIN] = {"BEGIN IMMEDIATE", true},
	[S_BEGIN_READ] = {"BEGIN", false},
	[S_COMMIT] = {"COMMIT", true},
	[S_ROLLBACK] = {"ROLLBACK", false},
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
	[S_PAGES] = {"PRAGMA page_count", false},
	[S_FREE_PAGES] = {"PRAGMA freelist_count", false},
};

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE block(last INTEGER PRIMARY KEY, span INTEGER NOT NULL, classes INTEGER NOT NULL,"
	" from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, data BLOB NOT NULL) STRICT;"
	"CREATE TABLE mark(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

struct db {
	sqlite3 *handle;
	sqlite3_stmt *stmt[N_STATEMENTS];
	struct db_opts opts;
	int64_t max_pages, wal_frames;
	bool reserved;
	sqlite3_io_methods methods; /* of the database file, less one: see keep_room() */
	char *path;
	char text[160];
};

/* --- results ----------------------------------------------------------------------------------------------------- */

static int code_of(const struct db *d, int rc)
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
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH: return -EACCES;
	case SQLITE_CONSTRAINT: return -EEXIST;
	default: break;
	}
	switch (d->handle ? sqlite3_system_errno(d->handle) : 0) {
	case ENOSPC:
	case EDQUOT: return -ENOSPC;
	case EACCES:
	case EPERM: return -EACCES;
	case EROFS: return -EROFS;
	case ENOENT: return (rc & 0xff) == SQLITE_CANTOPEN ? -ENOENT : -EIO;
	default: return -EIO;
	}
}

static int result(struct db *d, int rc)
{
	int code = code_of(d, rc);

	if (code < 0)
		snprintf(d->text, sizeof(d->text), "%s (%d)", d->handle ? sqlite3_errmsg(d->handle) : "no memory", rc);
	return code;
}

const char *db_text(const struct db *d)
{
	return d && d->text[0] ? d->text : "no details";
}

/* --- plain SQL, at open only ------------------------------------------------------------------------------------- */

static int exec(struct db *d, const char *sql)
{
	return result(d, sqlite3_exec(d->handle, sql, NULL, NULL, NULL));
}

/* The one number that a pragma answers with; text answers are compared with want and give 1 or 0. */
static int ask(struct db *d, const char *sql, const char *want, int64_t *out)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(d->handle, sql, -1, &st, NULL);
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
	r = result(d, rc);
	sqlite3_finalize(st);
	return r;
}

/* --- statements -------------------------------------------------------------------------------------------------- */

static sqlite3_stmt *use(struct db *d, enum statement s)
{
	sqlite3_reset(d->stmt[s]); /* reports the failure of the last use again: it was seen then */
	return d->stmt[s];
}

static int run(struct db *d, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);
	int r = result(d, rc == SQLITE_ROW ? SQLITE_OK : rc);

	sqlite3_reset(st);
	return r;
}

/* 0 with a row to read, DB_END, or -errno; the row stays until the statement is reset. */
static int row(struct db *d, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st), r;

	if (rc == SQLITE_ROW)
		return 0;
	r = rc == SQLITE_DONE ? DB_END : result(d, rc);
	sqlite3_reset(st);
	return r;
}

static int prepare_all(struct db *d, bool writer)
{
	for (int s = 0; s < N_STATEMENTS; s++) {
		if (statements[s].writes && !writer)
			continue;
		int rc = sqlite3_prepare_v3(
			d->handle, statements[s].sql, -1, SQLITE_PREPARE_PERSISTENT, &d->stmt[s], NULL);

		if (rc != SQLITE_OK)
			return result(d, rc);
	}
	return 0;
}

int db_begin(struct db *d)
{
	return run(d, use(d, S_BEGIN));
}

int db_begin_read(struct db *d)
{
	return run(d, use(d, S_BEGIN_READ));
}

int db_commit(struct db *d)
{
	/* SQLITE_FULL and I/O errors may have rolled all of it back already: then there is nothing to commit. */
	if (sqlite3_get_autocommit(d->handle))
		return -EIO;
	return run(d, use(d, S_COMMIT));
}

void db_rollback(struct db *d)
{
	db_block_done(d);
	if (d->handle && !sqlite3_get_autocommit(d->handle))
		run(d, use(d, S_ROLLBACK));
}

/* --- blocks ------------------------------------------------------------------------------------------------------ */

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
	r = run(d, st);
	sqlite3_clear_bindings(st); /* the bytes are the caller's again */
	return r;
}

int db_block_drop(struct db *d, uint64_t from, uint64_t to)
{
	sqlite3_stmt *st = use(d, S_BLOCK_DROP);

	sqlite3_bind_int64(st, 1, (sqlite3_int64)from);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)to);
	return run(d, st);
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
	r = row(d, st);
	if (r)
		return r;
	head_of(st, out);
	out->data.at = sqlite3_column_blob(st, 6);
	if (!out->data.at && out->data.len > 0) {
		r = result(d, sqlite3_errcode(d->handle));
		return r ? r : -ENOMEM;
	}
	return 0;
}

static int head(struct db *d, sqlite3_stmt *st, struct db_block *out)
{
	int r = row(d, st);

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
	sqlite3_reset(d->stmt[S_BLOCK_GET]);
}

/* --- marks ------------------------------------------------------------------------------------------------------- */

int db_mark_set(struct db *d, const char *name, uint64_t value)
{
	sqlite3_stmt *st = use(d, S_MARK_SET);

	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)value);
	return run(d, st);
}

int db_mark_get(struct db *d, const char *name, uint64_t *value)
{
	sqlite3_stmt *st = use(d, S_MARK_GET);
	int r;

	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	r = row(d, st);
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
	return run(d, st);
}

int db_mark_each(struct db *d, bool (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	sqlite3_stmt *st = use(d, S_MARK_EACH);
	int r;

	while ((r = row(d, st)) == 0) {
		const char *name = (const char *)sqlite3_column_text(st, 0);

		if (!name || !each(ctx, name, (uint64_t)sqlite3_column_int64(st, 1)))
			break;
	}
	sqlite3_reset(st);
	return r == DB_END ? 0 : r;
}

/* --- size and checkpoints ---------------------------------------------------------------------------------------- */

static int count(struct db *d, enum statement s, int64_t *out)
{
	sqlite3_stmt *st = use(d, s);
	int r = row(d, st);

	*out = r == 0 ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	return r == DB_END ? -EIO : r;
}

int db_size(struct db *d, struct db_size *out)
{
	int r;

	*out = (struct db_size){.max_pages = d->max_pages, .wal_frames = d->wal_frames, .reserved = d->reserved};
	r = count(d, S_PAGES, &out->pages);
	return r ? r : count(d, S_FREE_PAGES, &out->free_pages);
}

static int on_commit(void *ctx, sqlite3 *handle, const char *name, int frames)
{
	struct db *d = ctx;

	(void)handle;
	(void)name;
	d->wal_frames = frames;
	return SQLITE_OK;
}

/* Room for the WAL is taken behind the end of the file, where SQLite does not see it. Nothing is locked on the WAL
 * itself, so a second descriptor does no harm there; on the database it would drop SQLite's locks. */
static void reserve_wal(struct db *d)
{
	char name[4096];
	int fd;

	if (!d->opts.preallocate || snprintf(name, sizeof(name), "%s-wal", d->path) >= (int)sizeof(name))
		return;
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)d->opts.wal_bytes * 2) < 0)
		d->reserved = false;
	close(fd);
}

int db_checkpoint(struct db *d, bool always)
{
	int frames = 0, moved = 0, rc;

	if (!always && d->wal_frames * WAL_FRAME < d->opts.wal_bytes)
		return 0;
	rc = sqlite3_wal_checkpoint_v2(d->handle, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
	if (rc != SQLITE_OK)
		return result(d, rc);
	if (frames >= 0 && frames == moved)
		d->wal_frames = 0; /* the next commit starts it over, if no reader is in it */
	return 0;
}

int db_empty_wal(struct db *d)
{
	int rc = sqlite3_wal_checkpoint_v2(d->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

	if (rc == SQLITE_OK)
		reserve_wal(d); /* the next start may be on a full disk */
	return result(d, rc);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static int handle_open(struct db *d, const char *path, int flags)
{
	int rc = sqlite3_open_v2(path, &d->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK)
		return result(d, rc);
	sqlite3_busy_timeout(d->handle, BUSY_MS);
	return exec(d, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
		       " PRAGMA temp_store=MEMORY");
}

/* 1: an empty file, 0: ours, or -errno. */
static int identify(struct db *d)
{
	int64_t id, version, tables;
	int r = ask(d, "PRAGMA application_id", NULL, &id);

	if (r == 0)
		r = ask(d, "PRAGMA user_version", NULL, &version);
	if (r == 0)
		r = ask(d, "SELECT count(*) FROM sqlite_schema", NULL, &tables);
	if (r < 0)
		return r;
	if (id == 0 && tables == 0)
		return 1; /* new, or its making was interrupted */
	if (id != APPLICATION_ID) {
		snprintf(d->text, sizeof(d->text), "not a database of weir");
		return -EBADMSG;
	}
	if (version > DB_VERSION) {
		snprintf(d->text, sizeof(d->text), "format %lld was made by a newer weir; this one knows up to %d",
			(long long)version, DB_VERSION);
		return -EPROTO;
	}
	return 0;
}

static int create(struct db *d)
{
	char sql[sizeof(schema) + 100];

	snprintf(sql, sizeof(sql), "%s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", schema,
		APPLICATION_ID, DB_VERSION);
	return exec(d, sql);
}

static int use_wal(struct db *d)
{
	char sql[200];
	int64_t wal;
	int keep = 1;
	int r = ask(d, "PRAGMA journal_mode=WAL", "wal", &wal);

	if (r == 0 && !wal) {
		snprintf(d->text, sizeof(d->text), "this file system cannot hold a write-ahead log");
		return -EOPNOTSUPP;
	}
	if (r < 0)
		return r;
	sqlite3_file_control(d->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	snprintf(sql, sizeof(sql),
		"PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=%lld;"
		" PRAGMA secure_delete=OFF; PRAGMA cache_size=-2000",
		d->opts.sync ? "FULL" : "NORMAL", (long long)d->opts.wal_bytes * 2);
	r = exec(d, sql);
	sqlite3_db_config(d->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* a damaged file is left alone */
	sqlite3_wal_hook(d->handle, on_commit, d);
	return r;
}

static int bound(struct db *d)
{
	char sql[80];
	int64_t got;
	int r;

	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%lld", (long long)(d->opts.max_bytes / DB_PAGE));
	r = ask(d, sql, NULL, &got);
	if (r < 0)
		return r;
	d->max_pages = got; /* it does not go below what the file has already */
	if (d->opts.preallocate)
		reserve_wal(d);
	return 0;
}

/* A checkpoint cuts the file to what the database needs of it, and with that would give its room back. */
static int keep_room(sqlite3_file *f, sqlite3_int64 size)
{
	(void)f;
	(void)size;
	return SQLITE_OK;
}

static void hold_room(struct db *d)
{
	sqlite3_file *f = NULL;
	sqlite3_int64 size = 0;

	sqlite3_file_control(d->handle, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	if (!f || !f->pMethods || f->pMethods->xFileSize(f, &size) != SQLITE_OK ||
		size < d->opts.max_bytes / DB_PAGE * DB_PAGE)
		return;
	d->methods = *f->pMethods;
	d->methods.xTruncate = keep_room;
	f->pMethods = &d->methods;
	d->reserved = true;
}

static int set_up(struct db *d)
{
	int r, fresh;

	/* The page size before the first page is written, or never; EXTRA, since a rollback journal whose deletion a power
	 * cut takes back would undo the birth of the file under its WAL. */
	r = exec(d, "PRAGMA page_size=4096; PRAGMA synchronous=EXTRA");
	if (r == 0)
		r = identify(d);
	fresh = r == 1;
	if (r >= 0)
		r = use_wal(d);
	if (r == 0 && fresh)
		r = create(d);
	if (r == 0 && d->opts.preallocate)
		hold_room(d);
	/* The header is in the file before room is taken behind it. */
	if (r == 0)
		r = db_checkpoint(d, true);
	return r;
}

/* Room for all that the file may grow to, in one call. The descriptor is closed again before SQLite has one of this
 * file: closing it later would drop SQLite's locks. Failing is not fatal: the bound is then the disk's. */
static void take_room(const struct db *d)
{
	int fd = open(d->path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fallocate(fd, 0, 0, (off_t)(d->opts.max_bytes / DB_PAGE * DB_PAGE)) < 0 || fsync(fd) < 0)
		log_warn(
			"store preallocate=failed bytes=%lld error=\"%s\"; others who fill the disk can stop the queue",
			(long long)d->opts.max_bytes, strerror(errno));
	close(fd);
}

static int open_once(struct db *d)
{
	int r = handle_open(d, d->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	return r < 0 ? r : set_up(d);
}

/* The file must have its first page before it is given room. */
static int open_with_room(struct db *d)
{
	struct stat st;
	int r;

	if (stat(d->path, &st) < 0 || st.st_size < DB_PAGE) {
		r = open_once(d);
		if (r < 0)
			return r;
		sqlite3_close(d->handle);
		d->handle = NULL;
	} else if (st.st_size >= d->opts.max_bytes / DB_PAGE * DB_PAGE) {
		return open_once(d);
	}
	take_room(d);
	return open_once(d);
}

static int make(struct db **out, const char *path)
{
	struct db *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (!d)
		return -ENOMEM;
	d->path = strdup(path);
	if (!d->path) {
		free(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

int db_open(struct db **out, const char *path, const struct db_opts *opts)
{
	int r = make(out, path);

	if (r < 0)
		return r;
	(*out)->opts = *opts;
	r = opts->preallocate ? open_with_room(*out) : open_once(*out);
	if (r == 0)
		r = bound(*out);
	return r < 0 ? r : prepare_all(*out, true);
}

static int open_reader(struct db **out, const char *path, bool damaged)
{
	int r = make(out, path);

	if (r < 0)
		return r;
	if (access(path, F_OK) < 0)
		return -errno;
	r = handle_open(*out, path, SQLITE_OPEN_READONLY);
	/* By this SQLite takes the size of the file for what it is and not for what the header says. */
	if (r == 0 && damaged)
		r = exec(*out, "PRAGMA writable_schema=ON");
	if (r == 0)
		r = exec(*out, "PRAGMA cache_size=-1000");
	if (r == 0)
		r = identify(*out);
	if (r == 1)
		return -ENOENT; /* made this moment, and still empty */
	return r < 0 ? r : prepare_all(*out, false);
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
	for (int s = 0; s < N_STATEMENTS; s++)
		sqlite3_finalize(d->stmt[s]);
	sqlite3_close(d->handle);
	free(d->path);
	free(d);
}

/* --- checking ---------------------------------------------------------------------------------------------------- */

struct budget {
	int64_t (*mono_ms)(void *ctx);
	void *ctx;
	int64_t end_ms;
};

static int over(void *ctx)
{
	struct budget *b = ctx;

	return b->mono_ms(b->ctx) >= b->end_ms;
}

int db_check(struct db *d, int64_t budget_ms, int64_t (*mono_ms)(void *ctx), void *ctx)
{
	struct budget b = {mono_ms, ctx, mono_ms(ctx) + budget_ms};
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(d->handle, "PRAGMA quick_check(1)", -1, &st, NULL), r;

	sqlite3_progress_handler(d->handle, 1000, over, &b);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	r = result(d, rc);
	if (rc == SQLITE_ROW) {
		const char *said = (const char *)sqlite3_column_text(st, 0);

		if (!said || strcmp(said, "ok") != 0) {
			snprintf(d->text, sizeof(d->text), "%s", said ? said : "no memory");
			r = -EBADMSG;
		}
	}
	if ((rc & 0xff) == SQLITE_INTERRUPT)
		r = 0; /* no fault in the part that there was time for */
	sqlite3_finalize(st);
	sqlite3_progress_handler(d->handle, 0, NULL, NULL);
	return r;
}
