/* SPDX-License-Identifier: MIT */
/* window.h - a few neighbouring blocks of the log, copied out, looked through and written again with less in them.
 *
 * The copy is needed since the old rows must go before new ones take their keys. What stays goes back as fewer, fuller
 * blocks that cover the same seqs.
 * Owner     the queue's thread, within its transaction.
 * Memory    the bytes of one window; grows to the largest and is freed by window_free().
 */
#ifndef STORE_WINDOW_H
#define STORE_WINDOW_H

#include "store/block.h"
#include "store/db.h"
#include "store/gap.h"

enum { WINDOW_ROWS = 256, WINDOW_BYTES = 2 * BLOCK_BYTES };

struct window_row {
	uint64_t first, last;
	unsigned records; /* as its head says */
	size_t at, len;
};

struct window {
	struct window_row rows[WINDOW_ROWS];
	size_t count;
	uint8_t *bytes;
	size_t len, cap;
};

int window_new(struct window **out);
void window_free(struct window *w);                                       /* NULL is fine */
bool window_is_full(const struct window *w, const struct db_block *next); /* there is no room for this block as well */
int window_add(struct window *w, struct db *d, uint64_t after); /* the first block behind `after`: 0, DB_END, -errno */

/* 0 goes on; anything else ends the walk and is returned. The record is valid during the call and may be changed. */
typedef int window_each_fn(void *ctx, struct block_record *r);
int window_each_of(const struct window *w, const struct window_row *row, window_each_fn *each, void *ctx);
int window_each(const struct window *w, window_each_fn *each, void *ctx); /* damaged records are passed over */

struct window_edit {
	void *ctx;
	bool (*stays)(void *ctx, struct block_record *r); /* may change it, but for its seq and boot */
	const struct gap *gap;                            /* goes behind its last seq; NULL: none */
	const char *topic;                                /* of the gap */
	int64_t wall_ms;
};

/* *last_row: of the last row written. block is used for packing. */
int window_rewrite(
	const struct window *w, struct db *d, struct block *block, const struct window_edit *edit, uint64_t *last_row);

#endif
