/* SPDX-License-Identifier: MIT */
/* keeper_parts.h - what the files of the keeper share: keeper.c commits, tidy.c rewrites what is mostly dead,
 * keeper_open.c opens and closes, keeper_fit.c finds the bound that the disk has room for, keeper_load.c reads it.
 * Nobody else includes it.
 */
#ifndef STORE_KEEPER_PARTS_H
#define STORE_KEEPER_PARTS_H

#include "store/book.h"
#include "store/keeper.h"
#include "store/ledgerdb.h"
#include "store/seqlimit.h"

#include <limits.h>

/* Numbers are promised to stay below a limit that is kept in the file and moved in large steps, long before it is
 * reached: so none is given out twice, also of those that never reached the disk. */
#define KEEPER_STEP (UINT64_C(1) << 32)

struct keeper {
	struct ledgerdb *db; /* NULL: it is not open */
	bool alone;          /* it is open to be read once, where nothing can be written */
	bool damaged;        /* and is to be read as far as it can be */
	struct keeper_opts opts;
	char *dir, path[PATH_MAX];
	struct book book;
	uint64_t limit, next;     /* as it stands in the file; the number to be given out */
	struct seqlimit promised; /* as it stands beside the file: never behind that */
	int64_t max_bytes;        /* the bound that holds: opts.max_bytes, or what the disk has room for */
	size_t tidied;            /* how far the last walk came in the book */
	size_t passed;            /* leaves it looked at in vain since it found one, or since the last commit */
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
int64_t keeper_file_bytes(int64_t max_bytes); /* what is left for the database */

/* --- keeper_fit.c */

int64_t keeper_fit(const struct keeper *k);   /* the bound that may hold now */
bool keeper_is_tight(const struct keeper *k); /* the room was not to be had, or nothing is left of it to move in */

/* --- keeper_open.c */

int keeper_reattach(struct keeper *k);                /* closes the file, and opens it with the bound that fits */
int keeper_promise(struct keeper *k, uint64_t limit); /* before the file says so itself */
int keeper_open_files(struct keeper *k, int64_t wall_ms);
/* A disk that is full, or fails (the error): what is there can be read, k->alone, or k->db is NULL. Others: the error. */
int keeper_open_to_wait(struct keeper *k, int error);
int keeper_open_damaged(struct keeper *k);                /* the same, where it is known that the file is damaged */
int keeper_start_over(struct keeper *k, int64_t wall_ms); /* a new file is filled from the damaged one */
void keeper_detach(struct keeper *k);

/* --- the others */

int keeper_write_leaf(struct keeper *k, struct leaf *l); /* its row as it should be; within a transaction */
int keeper_tidy_run(struct keeper *k, struct tidy *out); /* tidy.c: within a transaction */

#endif
