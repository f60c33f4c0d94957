/* SPDX-License-Identifier: MIT */
/* folio.h - entries of the ledger, packed into the one blob of a database row.
 *
 * Layout    u8 format, u32 sum of the directory, varint count; the directory: per entry varint (number - the one
 *           before, the first - folio's first), varint length, u32 sum; then the bytes of the entries, one behind the
 *           other. Little endian. The directory's sum is seeded with the folio's first number, an entry's with its own,
 *           so nothing passes for something else; a damaged entry costs itself, a damaged directory the folio.
 * Owner     none: pure, no locks, no clock.
 * Memory    the packer writes into the caller's buffer; a reader points into the caller's bytes.
 * Outcomes  FOLIO_END: no more entries. FOLIO_DAMAGED: this one is not what was written; go on.
 */
#ifndef STORE_FOLIO_H
#define STORE_FOLIO_H

#include "base/cursor.h"

#include <stddef.h>
#include <stdint.h>

/* The most bytes of a folio with more than one entry: with the row's head it fills sixteen overflow pages and the least
 * that SQLite keeps in the leaf. */
enum { FOLIO_BYTES = 16 * 4092 + 489 - 40, FOLIO_ENTRIES = 4096 };

enum { FOLIO_END = 1, FOLIO_DAMAGED = 2 };

struct folio_entry {
	uint64_t number;
	struct span bytes;
};

/* How many of the entries, from the first on, go into one folio: at least one. */
size_t folio_fit(const struct folio_entry *entries, size_t count);
size_t folio_bound(const struct folio_entry *entries, size_t count); /* bytes that they take at most */
/* Numbers ascend from `first` on. The length; out has folio_bound() bytes. */
size_t folio_pack(uint8_t *out, const struct folio_entry *entries, size_t count, uint64_t first);

struct folio_reader {
	struct cursor directory, bodies;
	uint64_t number;
	uint32_t left, count;
};

/* first: as in the row. 0, or -EBADMSG: the directory is damaged, or of another format. */
int folio_open(struct folio_reader *r, const void *bytes, size_t len, uint64_t first);
/* 0, FOLIO_END, or FOLIO_DAMAGED with the number and the bytes as they are. */
int folio_next(struct folio_reader *r, struct folio_entry *out);
int folio_next_unseen(struct folio_reader *r, struct folio_entry *out); /* the same, and never looks at the bytes */

#endif
