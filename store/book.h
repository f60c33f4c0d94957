/* SPDX-License-Identifier: MIT */
/* book.h - the folios of the ledger as the writer knows them: where each entry is, and whether it still lives.
 *
 * What a commit has to write is what a leaf differs in from its row: so a transaction that failed is simply written
 * again, and nothing has to be taken back.
 * Owner     the writer's thread (before it runs, who opens the ledger); no locks.
 * Memory    eight bytes for each entry and some seventy for a leaf; a leaf's bytes until they are on the disk.
 */
#ifndef STORE_BOOK_H
#define STORE_BOOK_H

#include "store/folio.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leaf_entry {
	uint32_t step; /* number - the leaf's first */
	uint32_t len;
};

enum { LEAF_DEAD = INT32_MIN }; /* the top bit of len */

/* One folio. */
struct leaf {
	uint64_t first, last;
	struct leaf *next_dirty;
	uint8_t *blob; /* not on the disk yet; NULL: it is */
	size_t bytes;  /* of the folio */
	size_t live_bytes;
	uint32_t count, live;
	bool dirty;  /* its row is not what it should be */
	bool in_row; /* it has a row */
	struct leaf_entry entries[];
};

struct book {
	struct leaf **leaves; /* by number; those without a live entry stay until book_sweep() */
	size_t count, cap;
	size_t hint;        /* where the last one was found */
	size_t empty;       /* leaves with neither a live entry nor a row */
	struct leaf *dirty; /* to be written, by next_dirty */
	uint64_t live;      /* entries */
	uint64_t bytes, live_bytes;
};

void book_fini(struct book *b); /* zeroed is fine */

/* A leaf of entries that are live, packed and to be written; it is nobody's yet. NULL: no memory. */
struct leaf *leaf_pack(const struct folio_entry *entries, size_t count);
/* Of a row that was read. dead: its bits. 0, -EBADMSG, -ENOMEM. */
int leaf_read(struct leaf **out, struct span data, struct span dead, uint64_t first, uint64_t last);
void leaf_free(struct leaf *l); /* NULL is fine */
bool leaf_lives(const struct leaf *l, size_t entry);
size_t leaf_dead_bytes(const struct leaf *l);           /* of its bits */
void leaf_put_dead(const struct leaf *l, uint8_t *out); /* leaf_dead_bytes() of them */

int book_reserve(struct book *b, size_t more);     /* room for so many leaves more */
int book_add_take(struct book *b, struct leaf *l); /* behind all others; -ENOMEM: it is still the caller's */
void book_mark(struct book *b, struct leaf *l);    /* it is to be written */
bool book_drop(struct book *b, uint64_t number);   /* false: no such entry lives */
bool book_has(struct book *b, uint64_t number);    /* it lives */
/* `count` leaves from place `at` on are gone, and this one stands for them. */
void book_replace_take(struct book *b, size_t at, size_t count, struct leaf *l);
void book_written(struct book *b); /* what was dirty is on the disk */
void book_sweep(struct book *b);   /* forgets leaves that are empty, when there are many */

#endif
