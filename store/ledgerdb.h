/* SPDX-License-Identifier: MIT */
/* ledgerdb.h - the database file of the ledger, broker.db: its schema and its statements.
 *
 * Schema    folio(last PRIMARY KEY, first, data): entries that were committed together; dead(last PRIMARY KEY, bits):
 *           which of a folio's entries were dropped, a bit for each, in a table of its own so that a drop writes some
 *           bytes and not the folio again; mark(name PRIMARY KEY, value): numbers below `limit` may have been given out.
 * Owner     the thread that opened it; a handle for writing (one in the world) or for reading (any process).
 * Results   as store/sql.h has them.
 */
#ifndef STORE_LEDGERDB_H
#define STORE_LEDGERDB_H

#include "base/cursor.h"
#include "store/dbfile.h"

#include <stddef.h>
#include <stdint.h>

enum { LEDGERDB_VERSION = 1 };

struct ledgerdb;

/* A handle whose opening failed is handed out all the same, for ledgerdb_text() and ledgerdb_close() alone; NULL when
 * there was no memory for it. */
int ledgerdb_open(struct ledgerdb **out, const char *path, const struct db_opts *opts);
int ledgerdb_open_reader(struct ledgerdb **out, const char *path, bool damaged); /* -ENOENT: not there (yet) */
/* To be read, by one process and nobody else, where there is no room to write a byte. damaged: as for a reader. */
int ledgerdb_open_alone(struct ledgerdb **out, const char *path, bool damaged);
void ledgerdb_close(struct ledgerdb *d); /* NULL is fine */
const char *ledgerdb_text(const struct ledgerdb *d);

int ledgerdb_begin(struct ledgerdb *d);
int ledgerdb_begin_read(struct ledgerdb *d); /* one consistent moment until ledgerdb_rollback() */
int ledgerdb_commit(struct ledgerdb *d);
void ledgerdb_rollback(struct ledgerdb *d);
int ledgerdb_end(struct ledgerdb *d, int r); /* commits when r is 0; otherwise, or when that fails, rolls back: not 0 */

struct ledgerdb_folio {
	uint64_t first, last;
	struct span data, dead; /* dead.len 0: all of it is live */
};

int ledgerdb_put(struct ledgerdb *d, const struct ledgerdb_folio *f); /* with no dead bits; in the place of what has
									 the same last number */
int ledgerdb_drop(struct ledgerdb *d, uint64_t last);                 /* and its dead bits */
int ledgerdb_put_dead(struct ledgerdb *d, uint64_t last, struct span bits);
/* The first folio with last > after: 0 or DB_END. Its bytes are valid until ledgerdb_done() or the next call. */
int ledgerdb_get(struct ledgerdb *d, uint64_t after, struct ledgerdb_folio *out);
int ledgerdb_get_at(struct ledgerdb *d, uint64_t last, struct ledgerdb_folio *out); /* this one, without its dead */
int ledgerdb_find(struct ledgerdb *d, uint64_t after, uint64_t *last); /* the same, and reads nothing but the tree */
int ledgerdb_get_dead(struct ledgerdb *d, uint64_t last, struct span *bits); /* its dead bits alone; DB_END: none */
void ledgerdb_done(struct ledgerdb *d);

int ledgerdb_set_limit(struct ledgerdb *d, uint64_t limit);
int ledgerdb_limit(struct ledgerdb *d, uint64_t *limit); /* 0: none was ever set */

int ledgerdb_size(struct ledgerdb *d, struct db_size *out);
int ledgerdb_checkpoint(struct ledgerdb *d, bool always);
int ledgerdb_empty_wal(struct ledgerdb *d); /* -EBUSY: a reader needs it still */
int ledgerdb_give_wal(struct ledgerdb *d);  /* the same, and its room goes back to the file system */

#endif
