/* SPDX-License-Identifier: MIT */
/* carve.h - blocks found by looking at each page of a damaged database file, where its tree no longer leads to them.
 *
 * A leaf page of the block table says what it is; its rows give the keys, and chains of overflow pages the rest of the
 * bytes. What is found may be stale (a page that was freed still has its rows), so only a row whose bytes begin a block
 * with a right sum counts, and the caller takes those that fill a hole. The WAL is not looked at.
 * Owner     salvage, for the time of one.
 * Memory    sixteen bytes for each row found, at most CARVE_ROWS of them.
 */
#ifndef STORE_CARVE_H
#define STORE_CARVE_H

#include "store/db.h"

enum { CARVE_ROWS = 4 * 1024 * 1024 };

struct carve;

int carve_new(struct carve **out, const char *path); /* reads all of the file */
void carve_free(struct carve *c);                    /* NULL is fine */
/* The next block with last > after: 0, DB_END, or -errno. Its data is valid until the next call. */
int carve_next(struct carve *c, uint64_t after, struct db_block *out);

#endif
