/* SPDX-License-Identifier: MIT */
/* carve.h - rows found by looking at each page of a damaged database file, where its tree no longer leads to them.
 *
 * A leaf page of a table says what it is; its rows give the keys, and chains of overflow pages the rest of the bytes.
 * What is found may be stale (a page that was freed still has its rows), so only a row that the caller calls sound
 * counts, and the caller takes those that fill a hole. The WAL is not looked at.
 * Owner     salvage, for the time of one.
 * Memory    sixteen bytes for each row found, at most CARVE_ROWS of them.
 */
#ifndef STORE_CARVE_H
#define STORE_CARVE_H

#include "base/cursor.h"
#include "store/dbfile.h"

#include <stdint.h>

enum { CARVE_ROWS = 4 * 1024 * 1024, CARVE_INTS = 4 };

/* A row: an integer key, some integers, a blob. */
struct carve_row {
	uint64_t key;
	int64_t ints[CARVE_INTS];
	struct span data;
};

/* Which rows are looked for. */
struct carve_kind {
	int ints;                                  /* columns between the key and the blob */
	int (*check)(const struct carve_row *row); /* 0: it is one; -EBADMSG, -ENOMEM */
	bool not_freed; /* pages that the file says are free are passed over, as far as its list of them leads */
};

struct carve;

int carve_new(struct carve **out, const char *path, const struct carve_kind *kind); /* reads all of the file */
void carve_free(struct carve *c);                                                   /* NULL is fine */
/* The next row with key > after: 0, DB_END, or -errno. Its data is valid until the next call. */
int carve_next(struct carve *c, uint64_t after, struct carve_row *out);

#endif
