/* SPDX-License-Identifier: MIT */
/* The settings, and why: WAL with synchronous=FULL is one fsync for each commit; checkpoints are driven from here and
 * not by SQLite, so that they fall between two commits; secure_delete is on in Debian's build and would write each
 * freed page once more; the WAL file is kept on close and its room is taken at the start, since a database that
 * cannot write its WAL cannot even delete. */
#include "store/sql.h"

#include "base/log.h"
#include "store/joined.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 2000 };

static int handle_open(struct sql *q, const char *path, int flags)
{
	int rc = sqlite3_open_v2(path, &q->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK)
		return sql_result(q, rc);
	sqlite3_busy_timeout(q->handle, BUSY_MS);
	return sql_exec(q, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
			   " PRAGMA temp_store=MEMORY");
}

/* 1: an empty file, 0: ours, or -errno. */
static int identify(struct sql *q, int64_t *version)
{
	int64_t id, tables;
	int r = sql_ask(q, "PRAGMA application_id", NULL, &id);

	if (r == 0)
		r = sql_ask(q, "PRAGMA user_version", NULL, version);
	if (r == 0)
		r = sql_ask(q, "SELECT count(*) FROM sqlite_schema", NULL, &tables);
	if (r < 0)
		return r;
	if (id == 0 && tables == 0)
		return 1; /* new, or its making was interrupted */
	if (id != q->kind->application_id || *version < 1) {
		snprintf(q->text, sizeof(q->text), "not a database of weir");
		return -EBADMSG;
	}
	if (*version > q->kind->version) {
		snprintf(q->text, sizeof(q->text), "format %lld was made by a newer weir; this one knows up to %d",
			(long long)*version, q->kind->version);
		return -EPROTO;
	}
	return 0;
}

static int create(struct sql *q)
{
	char *words;
	int r;

	if (asprintf(&words, "BEGIN IMMEDIATE; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
		    q->kind->schema, q->kind->application_id, q->kind->version) < 0)
		return -ENOMEM;
	r = sql_exec(q, words);
	free(words);
	return r;
}

/* From an older format to ours, a step at a time: a crash between two leaves a file of the one in between. */
static int upgrade(struct sql *q, int64_t from)
{
	int r = 0;

	for (int64_t v = from; r == 0 && v < q->kind->version; v++) {
		char *words;

		if (asprintf(&words, "BEGIN IMMEDIATE; %s PRAGMA user_version=%lld; COMMIT", q->kind->upgrades[v - 1],
			    (long long)v + 1) < 0)
			return -ENOMEM;
		r = sql_exec(q, words);
		free(words);
		if (r == 0)
			log_info("store file=%s format=%lld from=%lld", q->path, (long long)v + 1, (long long)v);
	}
	return r;
}

static int use_wal(struct sql *q)
{
	char sql[200];
	int64_t wal;
	int keep = 1;
	int r = sql_ask(q, "PRAGMA journal_mode=WAL", "wal", &wal);

	if (r == 0 && !wal) {
		snprintf(q->text, sizeof(q->text), "this file system cannot hold a write-ahead log");
		return -EOPNOTSUPP;
	}
	if (r < 0)
		return r;
	sqlite3_file_control(q->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	snprintf(sql, sizeof(sql),
		"PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=%lld;"
		" PRAGMA secure_delete=OFF; PRAGMA cache_size=-2000",
		q->opts.sync ? "FULL" : "NORMAL", (long long)q->opts.wal_bytes * 2);
	r = sql_exec(q, sql);
	sqlite3_db_config(q->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* a damaged file is left alone */
	sql_count_frames(q);
	return r;
}

static int bound(struct sql *q)
{
	char sql[80];
	int64_t got;
	int r;

	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%lld", (long long)(q->opts.max_bytes / DB_PAGE));
	r = sql_ask(q, sql, NULL, &got);
	if (r < 0)
		return r;
	q->max_pages = got; /* it does not go below what the file has already */
	if (q->opts.preallocate)
		sql_reserve_wal(q);
	return 0;
}

/* A checkpoint cuts the file to what the database needs of it, and with that would give its room back. */
static int keep_room(sqlite3_file *f, sqlite3_int64 size)
{
	(void)f;
	(void)size;
	return SQLITE_OK;
}

static void hold_room(struct sql *q)
{
	sqlite3_file *f = NULL;
	sqlite3_int64 size = 0;

	sqlite3_file_control(q->handle, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	if (!f || !f->pMethods || f->pMethods->xFileSize(f, &size) != SQLITE_OK ||
		size < q->opts.max_bytes / DB_PAGE * DB_PAGE)
		return;
	q->methods = *f->pMethods;
	q->methods.xTruncate = keep_room;
	f->pMethods = &q->methods;
	q->reserved = true;
}

/* Without a flush in each commit, other connections look at the log before anything says that it must be there; and a
 * disk that damages what is beside a write has SQLite flush in the middle of one. */
static int join_writes(struct sql *q)
{
	sqlite3_file *log = NULL;

	sqlite3_file_control(q->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (!q->opts.sync || !log || !log->pMethods ||
		!(log->pMethods->xDeviceCharacteristics(log) & SQLITE_IOCAP_POWERSAFE_OVERWRITE))
		return 0;
	return joined_new(&q->log, log);
}

static int set_up(struct sql *q)
{
	int64_t version;
	int r, fresh;

	/* The page size before the first page is written, or never; EXTRA, since a rollback journal whose deletion a power
	 * cut takes back would undo the birth of the file under its WAL. */
	r = sql_exec(q, "PRAGMA page_size=4096; PRAGMA synchronous=EXTRA");
	if (r == 0)
		r = identify(q, &version);
	fresh = r == 1;
	if (r >= 0)
		r = use_wal(q);
	if (r == 0)
		r = fresh ? create(q) : upgrade(q, version);
	if (r == 0)
		r = join_writes(q);
	if (r == 0 && q->opts.preallocate)
		hold_room(q);
	/* The header is in the file before room is taken behind it. A file that has it can be read, and room made in it,
	 * also on a disk that takes nothing more. */
	if (r == 0)
		r = sql_checkpoint(q, true);
	return r == -ENOSPC && !fresh ? 0 : r;
}

/* Room for all that the file may grow to, in one call. The descriptor is closed again before SQLite has one of this
 * file: closing it later would drop SQLite's locks. Failing is not fatal: the bound is then the disk's. */
static void take_room(const struct sql *q)
{
	int fd = open(q->path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fallocate(fd, 0, 0, (off_t)(q->opts.max_bytes / DB_PAGE * DB_PAGE)) < 0 || fsync(fd) < 0)
		log_warn(
			"store preallocate=failed bytes=%lld error=\"%s\"; others who fill the disk can stop the queue",
			(long long)q->opts.max_bytes, strerror(errno));
	close(fd);
}

/* A file that it may not write SQLite opens for reading, says nothing, and then refuses every change. */
static int check_writable(struct sql *q)
{
	int error;

	if (sqlite3_db_readonly(q->handle, "main") != 1)
		return 0;
	error = faccessat(AT_FDCWD, q->path, W_OK, AT_EACCESS) < 0 ? errno : EACCES;
	snprintf(q->text, sizeof(q->text), "it may be read and not written: %s", strerror(error));
	return -error;
}

static int open_once(struct sql *q)
{
	int r = handle_open(q, q->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	if (r == 0)
		r = check_writable(q);
	return r < 0 ? r : set_up(q);
}

static void hang_up(struct sql *q)
{
	sqlite3_close(q->handle);
	joined_free(q->log);
	q->handle = NULL;
	q->log = NULL;
}

/* The file must have its first page before it is given room. */
static int open_with_room(struct sql *q)
{
	struct stat st;
	int r;

	if (stat(q->path, &st) < 0 || st.st_size < DB_PAGE) {
		r = open_once(q);
		if (r < 0)
			return r;
		hang_up(q);
	} else if (st.st_size >= q->opts.max_bytes / DB_PAGE * DB_PAGE) {
		return open_once(q);
	}
	take_room(q);
	return open_once(q);
}

static int name_it(struct sql *q, const char *path, const struct sql_kind *kind)
{
	q->kind = kind;
	q->room_fd = -1;
	q->path = strdup(path);
	return q->path ? 0 : -ENOMEM;
}

int sql_open(struct sql *q, const char *path, const struct sql_kind *kind, const struct db_opts *opts)
{
	int r = name_it(q, path, kind);

	if (r < 0)
		return r;
	q->opts = *opts;
	r = opts->preallocate ? open_with_room(q) : open_once(q);
	/* Closing it drops the locks of this process on the file, so it is closed when SQLite has closed its own. */
	if (r == 0 && !q->reserved)
		q->room_fd = open(path, O_RDWR | O_CLOEXEC);
	if (r == 0)
		r = bound(q);
	return r == 0 ? sql_prepare_all(q, true) : r;
}

static int open_to_read(struct sql *q, const char *path, const struct sql_kind *kind, int flags, const char *first)
{
	int64_t version;
	int r = name_it(q, path, kind);

	if (r < 0)
		return r;
	if (access(path, F_OK) < 0)
		return -errno;
	r = handle_open(q, path, flags);
	if (r == 0)
		r = sql_exec(q, first);
	if (r == 0)
		r = sql_exec(q, "PRAGMA cache_size=-1000");
	if (r == 0)
		r = identify(q, &version);
	if (r == 1)
		return -ENOENT; /* made this moment, and still empty */
	return r == 0 ? sql_prepare_all(q, false) : r;
}

int sql_open_reader(struct sql *q, const char *path, const struct sql_kind *kind, bool damaged)
{
	/* By the first SQLite takes the size of the file for what it is and not for what the header says. */
	return open_to_read(
		q, path, kind, SQLITE_OPEN_READONLY, damaged ? "PRAGMA writable_schema=ON" : "PRAGMA query_only=ON");
}

/* With a lock that lets nobody else in, SQLite has no need of an index file beside the WAL. */
int sql_open_alone(struct sql *q, const char *path, const struct sql_kind *kind, bool damaged)
{
	return open_to_read(q, path, kind, SQLITE_OPEN_READWRITE,
		damaged ? "PRAGMA locking_mode=EXCLUSIVE; PRAGMA writable_schema=ON" : "PRAGMA locking_mode=EXCLUSIVE");
}

void sql_close(struct sql *q)
{
	for (int i = 0; i < SQL_OWN; i++)
		sqlite3_finalize(q->own[i]);
	for (int s = 0; s < SQL_WORDS; s++)
		sqlite3_finalize(q->stmt[s]);
	hang_up(q);
	if (q->path && q->room_fd >= 0)
		close(q->room_fd);
	free(q->path);
	*q = (struct sql){0};
}
