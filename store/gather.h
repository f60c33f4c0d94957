/* SPDX-License-Identifier: MIT */
/* gather.h - what was put and dropped since the last commit was handed over: the next commit in the making.
 *
 * What is put and dropped in the same gather is gone from it: it costs its number and nothing on the disk.
 * Owner     the broker's thread while it is filled, the writer's while it is committed; handed over as a whole.
 * Memory    grows to what was gathered in one go, which the ledger bounds by gather_cost().
 */
#ifndef STORE_GATHER_H
#define STORE_GATHER_H

#include "base/cursor.h"
#include "store/folio.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gathered {
	uint32_t at, len;
};

struct gather {
	uint64_t first; /* number of the first that was put */
	uint8_t *bytes;
	size_t len, cap;
	struct gathered *puts; /* by number - first */
	size_t put_count, puts_cap;
	size_t live, live_bytes; /* put and not dropped */
	uint64_t *drops;         /* of what was put before */
	size_t drop_count, drops_cap;
	bool touched;     /* something was put or dropped */
	bool asked;       /* somebody waits for its ticket */
	int64_t since_us; /* when the end of a turn first saw it touched */
	int64_t asked_us; /* and asked for */
	uint64_t ticket;
	size_t puts_done, drops_done; /* the writer has taken these into its book */
};

void gather_fini(struct gather *g);                  /* zeroed is fine */
void gather_reset(struct gather *g, uint64_t first); /* keeps its memory */
bool gather_is_empty(const struct gather *g);        /* nothing of it needs the disk */
size_t gather_cost(const struct gather *g);          /* bytes of memory in use */
/* Its number is first + put_count as it was before. 0 or -ENOMEM. */
int gather_put(struct gather *g, const struct span *parts, size_t count, size_t len);
int gather_drop(struct gather *g, uint64_t number); /* 0 or -ENOMEM: it is not noted */
/* Up to max of the live entries from place *at on, which moves; their number, 0: no more. */
size_t gather_entries(const struct gather *g, size_t *at, struct folio_entry *out, size_t max);

#endif
