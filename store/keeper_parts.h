/* SPDX-License-Identifier: MIT */
/* keeper_parts.h - what the files of the keeper share: keeper.c commits, tidy.c rewrites what is mostly dead,
 * keeper_open.c opens, replays and mends. Nobody else includes it.
 */
#ifndef STORE_KEEPER_PARTS_H
#define STORE_KEEPER_PARTS_H

#include "store/book.h"
#include "store/keeper.h"
#include "store/ledgerdb.h"

#include <limits.h>

/* Numbers are promised to stay below a limit that is kept in the file and moved in large steps, long before it is
 * reached: so none is given out twice, also of those that never reached the disk. */
#define KEEPER_STEP (UINT64_C(1) << 32)

struct keeper {
	struct ledgerdb *db; /* NULL: it is not open */
	bool alone;          /* it is open to be read once, where nothing can be written */
	struct keeper_opts opts;
	char *dir, path[PATH_MAX];
	struct book book;
	uint64_t limit, next;
	size_t tidied; /* how far the last walk came in the book */
	size_t passed; /* leaves it looked at in vain since it found one, or since the last commit */
	uint8_t *bits;
	size_t bits_cap;
	struct db_size size;
	uint64_t commits, rewrites, salvaged, lost;
};

/* What tidying puts in the place of a run of leaves. */
struct tidy {
	size_t at, count;
	struct leaf *fresh; /* NULL: there was nothing to do */
};

int64_t keeper_wal_bytes(int64_t max_bytes);  /* a checkpoint when the WAL has grown to this */
int64_t keeper_wal_most(int64_t max_bytes);   /* held back by a reader, it grows to here */
int64_t keeper_file_bytes(int64_t max_bytes); /* what is left for the database */

int keeper_write_leaf(struct keeper *k, struct leaf *l); /* its row as it should be; within a transaction */
int keeper_tidy_run(struct keeper *k, struct tidy *out); /* tidy.c: within a transaction */

#endif
