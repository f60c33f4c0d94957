/* SPDX-License-Identifier: MIT */
/* sql.h - a database file of weir and one connection to it: opening, room, transactions, results, checkpoints.
 *
 * What a file holds, its schema and its statements, is its owner's: db.c for the queue. Nobody but the owners includes
 * this, for SQLite's header comes with it.
 * Owner     the thread that opened it; a connection for writing (one in the world) or for reading (any process).
 * Results   0, or -errno: -ENOSPC no room (in the file's bound or on the disk), -EBADMSG the file is damaged, -EPROTO a
 *           newer weir made it, -EBUSY another process is in the way, -EROFS and -EACCES as they say, else -EIO; the
 *           sentence behind the last of them is in text. After a failure within a transaction the caller rolls back.
 * Memory    a struct within the owner's, zeroed before it is opened; sql_close() ends it, after a failed opening too.
 * Time      never read here.
 */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include "store/dbfile.h"

#include <sqlite3.h>
#include <stddef.h>

enum { SQL_OWN = 6, SQL_WORDS = 12 };

struct sql_words {
	const char *text; /* NULL: none */
	bool writes;      /* a connection for reading does without */
};

/* Whose file it is. */
struct sql_kind {
	int application_id;
	int version;                 /* the format that this weir writes, and the newest that it reads */
	const char *schema;          /* statements, each ended by a semicolon */
	const char *const *upgrades; /* from version 1 to 2, from 2 to 3, ...: statements again; version - 1 of them */
	const struct sql_words *words; /* SQL_WORDS of them: the owner's statements, prepared by the openers */
};

struct sql {
	sqlite3 *handle;
	const struct sql_kind *kind;
	struct db_opts opts;
	sqlite3_stmt *own[SQL_OWN]; /* transactions and sizes */
	sqlite3_stmt *stmt[SQL_WORDS];
	int64_t max_pages, wal_frames;
	int64_t pages, free_pages; /* as this connection committed them last; pages 0: it has not */
	bool reserved;
	sqlite3_io_methods methods; /* of the database file, less one: see keep_room() */
	struct joined *log;         /* the write-ahead log, where each commit is flushed */
	int room_fd;                /* of the database file, for its room on the disk; -1: none */
	int64_t roomy;              /* so many pages have room on the disk; 0: it is to be looked at */
	char *path;
	char text[160]; /* what went wrong last */
};

/* --- opening: sql_open.c */

int sql_open(struct sql *q, const char *path, const struct sql_kind *kind, const struct db_opts *opts);
/* -ENOENT: not there (yet). damaged: a file that is too short will do. */
int sql_open_reader(struct sql *q, const char *path, const struct sql_kind *kind, bool damaged);
/* To be read where there is no room to write a byte: nobody else may have it open. -EBUSY: somebody has. */
int sql_open_alone(struct sql *q, const char *path, const struct sql_kind *kind, bool damaged);
void sql_close(struct sql *q); /* zeroed is fine */
/* A check of at most budget_ms: 0, or -EBADMSG. How far it came is not known. */
int sql_check(struct sql *q, int64_t budget_ms); /* sql_check.c */

/* --- statements */

int sql_result(struct sql *q, int rc); /* SQLite's word as one of ours */
int sql_exec(struct sql *q, const char *words);
/* The one number that a pragma answers with; text answers are compared with want and give 1 or 0. */
int sql_ask(struct sql *q, const char *words, const char *want, int64_t *out);
int sql_prepare_all(struct sql *q, bool writer); /* by the openers */
sqlite3_stmt *sql_use(struct sql *q, int s);     /* kind->words[s], ready to be bound and run again */
void sql_done(struct sql *q, int s);             /* its row is no longer needed; without one is fine */
int sql_run(struct sql *q, sqlite3_stmt *st);    /* one that gives no rows */
int sql_row(struct sql *q, sqlite3_stmt *st);    /* 0: a row to read until the statement is reset; DB_END */

int sql_begin(struct sql *q);      /* takes the write lock */
int sql_begin_read(struct sql *q); /* one consistent moment until sql_rollback() */
int sql_commit(struct sql *q);     /* 0: all of it is safe, as opts.sync says */
void sql_rollback(struct sql *q);  /* not in a transaction is fine; no row is valid any more */
/* Commits when r is 0. Otherwise, and when that fails, rolls back: what it returns is not 0, and nothing happened. */
int sql_end(struct sql *q, int r);

/* --- size and checkpoints */

int sql_size(struct sql *q, struct db_size *out);
void sql_count_frames(struct sql *q); /* from now on, so that sql_checkpoint() knows when */
void sql_reserve_wal(struct sql *q);  /* room for the WAL, as far as the file system gives it */
/* Moves what was committed from the WAL into the database: when wal_bytes are reached, or in any case. Waits for
 * nobody: what a reader still needs stays. */
int sql_checkpoint(struct sql *q, bool always);
/* Gives the room of about so many free pages back to the file system, in one connection with opts.give_back, between
 * two transactions: -EBUSY when not all is in the database file, -EOPNOTSUPP where the file system cannot. sql_room.c */
int sql_give_back(struct sql *q, int64_t pages);
/* Room on the disk for a file of so many pages, before they are committed: a page in the WAL that has none in the
 * database would keep the WAL from being moved, and on a full disk with it all that could be deleted. -ENOSPC: there is
 * none. 0 as well where the file system cannot, or all of the room was taken at the opening. sql_room.c */
int sql_grow(struct sql *q, int64_t pages);
int sql_give_wal(struct sql *q);  /* the same as sql_empty_wal(), and its room goes back to the file system */
int sql_empty_wal(struct sql *q); /* everything into the database; for a clean end. -EBUSY: a reader needs it still */

#endif
