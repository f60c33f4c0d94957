/* SPDX-License-Identifier: MIT */
/* rescue.h - what lives in one broker.db, copied into a new one: of a damaged file as much as can be read.
 *
 * Folios are found through the tree; where the tree does not lead, page by page (store/carve.h). A folio that is whole is
 * copied as it stands, with its dead bits; of another, the entries whose sums are right. Where the dead bits cannot be
 * read, all of the folio lives again: something may be delivered twice, nothing is lost by it.
 * Owner     who has both files open; nobody writes into the old one, or the caller reads it at one moment.
 */
#ifndef STORE_RESCUE_H
#define STORE_RESCUE_H

#include "store/ledgerdb.h"

#include <stdbool.h>

struct rescue_result {
	uint64_t entries; /* copied, and alive */
	uint64_t lost;    /* damaged, of folios that could be read */
	uint64_t last;    /* the last number copied */
	bool unknown;     /* and there may be more */
};

/* Where the limit of numbers is lost: none was given out that is further than this from the last that is known; the file
 * did not live long enough to use up so many. */
#define RESCUE_LEAP (UINT64_C(1) << 48)

/* Each folio that can be read, in order, with its dead bits; a damaged one as what is left of it. from NULL: nothing can. Not
 * 0 from put() ends it and is returned. */
int rescue_each(struct ledgerdb *from, const char *from_path, int (*put)(void *ctx, const struct ledgerdb_folio *row),
	void *ctx, struct rescue_result *out);

/* limit: as it stands in the old file, 0: cannot be read. The new file is complete when this returns 0; a moment that the
 * old one was read at is let go before the new one is flushed. */
int rescue(
	struct ledgerdb *from, const char *from_path, struct ledgerdb *to, uint64_t limit, struct rescue_result *out);

#endif
