/* SPDX-License-Identifier: MIT */
/* db.h - the database file of the queue: every word of SQL about it ends here.
 *
 * Schema    block(last INTEGER PRIMARY KEY, span, classes, from_ms, to_ms, data): one row for each block of records,
 *           found by its last seq; mark(name PRIMARY KEY, value): the counter, the cursors and whether the end was
 *           clean, all on one page.
 * Versions  2 has blocks that know their boot. Those of version 1 are read as they are, so that an upgrade only says
 *           that an older weir could not read all of it any more.
 * Owner     the thread that opened it; a handle for writing (one in the world) or for reading (any process).
 * Results   -ENOSPC no room (in the file's bound or on the disk), -EBADMSG the file is damaged, -EPROTO a newer weir
 *           made it, -EBUSY another process is in the way, -EROFS and -EACCES as they say, else -EIO; the text behind
 *           the last of them is db_text(). After a failure within a transaction the caller rolls back.
 * Time      never read here.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/cursor.h"
#include "store/dbfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DB_VERSION = 2 };

struct db;

/* Makes the file if it is not there. A handle whose opening failed is handed out all the same, for db_text() and
 * db_close() alone; NULL when there was no memory for it. */
int db_open(struct db **out, const char *path, const struct db_opts *opts);
int db_open_reader(struct db **out, const char *path);  /* -ENOENT: not there (yet) */
int db_open_damaged(struct db **out, const char *path); /* as a reader, and a file that is too short will do */
void db_close(struct db *d);                            /* NULL is fine */
const char *db_text(const struct db *d);                /* what went wrong last, for the log; NULL is fine */

int db_begin(struct db *d);      /* takes the write lock */
int db_begin_read(struct db *d); /* one consistent moment until db_rollback() */
int db_commit(struct db *d);     /* 0: all of it is safe, as opts->sync says */
void db_rollback(struct db *d);  /* not in a transaction is fine */
int db_end(struct db *d, int r); /* commits when r is 0; otherwise, or when that fails, rolls back: not 0 */

/* One row of the log. `classes` holds the number of records of each class in 16 bits each. */
struct db_block {
	uint64_t first, last;
	uint64_t classes;
	int64_t from_ms, to_ms;
	struct span data; /* db_block_head(): at is NULL, len is right */
};

static inline unsigned db_block_count(const struct db_block *b, unsigned class)
{
	return (unsigned)(b->classes >> 16 * class) & 0xffff;
}

static inline unsigned db_block_records(const struct db_block *b)
{
	return db_block_count(b, 0) + db_block_count(b, 1) + db_block_count(b, 2) + db_block_count(b, 3);
}

int db_block_put(struct db *d, const struct db_block *b);    /* -EEXIST: there is one with that last seq */
int db_block_drop(struct db *d, uint64_t from, uint64_t to); /* all with from <= last <= to */
/* The first block with last > after: 0 or DB_END. The data is valid until db_block_done() or the next call; until
 * then the reader holds back the WAL. */
int db_block_get(struct db *d, uint64_t after, struct db_block *out);
int db_block_head(struct db *d, uint64_t after, struct db_block *out); /* reads no overflow page */
int db_block_tail(struct db *d, struct db_block *out);                 /* the last block's head */
void db_block_done(struct db *d);

int db_mark_set(struct db *d, const char *name, uint64_t value);
int db_mark_get(struct db *d, const char *name, uint64_t *value); /* DB_END: no such mark */
int db_mark_drop(struct db *d, const char *name);
int db_mark_each(struct db *d, bool (*each)(void *ctx, const char *name, uint64_t value), void *ctx);

int db_size(struct db *d, struct db_size *out);
/* Moves what was committed from the WAL into the database: when wal_bytes are reached, or in any case. Waits for
 * nobody: what a reader still needs stays. */
int db_checkpoint(struct db *d, bool always);

/* Gives the room of about so many free pages back to the file system: -EBUSY when something is in the WAL still,
 * -EOPNOTSUPP without opts.give_back, or where the file system cannot. */
int db_give_back(struct db *d, int64_t pages);
int db_empty_wal(struct db *d); /* everything into the database; for a clean end. -EBUSY: a reader needs it still */

/* A check of at most budget_ms: 0, or -EBADMSG. How far it came is not known. */
int db_check(struct db *d, int64_t budget_ms);

#endif
