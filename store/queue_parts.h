/* SPDX-License-Identifier: MIT */
/* queue_parts.h - what the files of the queue share: queue.c commits, room.c makes room, queue_open.c opens and mends.
 * Nobody else includes it.
 */
#ifndef STORE_QUEUE_PARTS_H
#define STORE_QUEUE_PARTS_H

#include "store/block.h"
#include "store/db.h"
#include "store/queue.h"
#include "store/seqlimit.h"

#include <limits.h>

struct upstream {
	char *mark; /* "cursor/NAME" */
	uint64_t acked, saved;
};

/* What a transaction changes. */
struct state {
	uint64_t next_seq;
	struct db_block head; /* the oldest block; only when !empty */
	bool empty;
	bool more; /* settled blocks are left to drop, or more room is to be made */
	uint64_t evicted;
	uint64_t evicted_to[4]; /* no record of the class in blocks up to here */
	uint64_t gap_row;       /* the block that ends in the gap of the last eviction */
	uint64_t thinned;
	uint64_t thinned_to; /* blocks up to here were looked at; kept in the mark "thinned" */
	bool pressed;        /* had to evict, and has not got much room since */
	uint32_t doubted;    /* the boot whose first record with a time in doubt is marked; 0: none */
	uint32_t trusted;    /* the boot in which the clock is known to be right */
};

/* Whose times are being put right. */
struct restamp {
	uint32_t boot;         /* 0: nobody's */
	int64_t offset_ms;     /* wall - monotonic */
	uint64_t after, until; /* seqs */
};

struct queue {
	struct db *db;
	struct queue_opts opts;
	char *dir, path[PATH_MAX];
	struct block *block;
	struct upstream *ups;
	size_t up_count;
	struct seqlimit limit;
	struct state now;
	uint64_t confirmed;  /* the next seq as this process knows it; 0: the files were never open */
	struct db_size size; /* max_pages is less where opts.keep_free says so */
	bool squeezed;       /* by that */
	int64_t hollow;      /* free pages whose room the file system has back */
	bool solid;          /* it cannot take any */
	uint64_t commits, salvaged, lost;
	const uint64_t *forget; /* with the next commit */
	size_t forget_count;
	uint64_t *once; /* as it was when the files were opened */
	size_t once_count;
	int64_t opened_ms; /* wall */
	uint64_t scrubbed; /* blocks up to this seq were looked at */
	struct restamp restamp;
	uint32_t boot; /* this one */
};

/* A transaction of the queue: all of it happens, or everything is as it was before, here and on the disk. */
struct queue_change {
	struct state now;
	struct restamp restamp;
};
int queue_begin(struct queue *q, struct queue_change *before);
/* Commits when r is 0, then looks after the WAL. Otherwise, and when that fails, takes it back: not 0. */
int queue_end(struct queue *q, const struct queue_change *before, int r);

/* room.c: all within the transaction of a commit */
int64_t room_wal_bytes(int64_t max_bytes);      /* a checkpoint when the WAL has grown to this */
int64_t room_database_bytes(int64_t max_bytes); /* what is left for the database */
int64_t room_free_pages(const struct db_size *s);
int64_t room_spare(const struct queue *q); /* bytes that the file system has above opts.keep_free */
int room_measure(struct queue *q);         /* q->size, as it is now */
int room_find_head(struct queue *q);       /* reads the oldest block's head again */
int room_drop_settled(struct queue *q, int64_t wall_ms, bool pressed); /* history too when pressed */
/* *floor: what is below this class is not let in. -ENOSPC: no room for any of them. */
int room_make(struct queue *q, struct msg *const *msgs, size_t count, unsigned *floor, int64_t wall_ms);
/* Besides room for these, opts.spare_bytes, as far as history and what may be thinned give it. */
int room_make_ahead(struct queue *q, struct msg *const *msgs, size_t count, int64_t wall_ms);
/* Between two transactions: what the file does not need goes to others who are below opts.keep_free. */
void room_give_back(struct queue *q);
bool room_is_full(const struct queue *q); /* with opts.refuse: no more should come */

/* once.c: within a transaction */
int once_load(struct queue *q, int64_t wall_ms);
int once_save(struct queue *q, struct msg *const *msgs, size_t count, int64_t wall_ms);

/* restamp.c: within a transaction; untrusted: the first seq of the commit whose time is in doubt, 0 none */
int restamp_load(struct queue *q);
int restamp_note(struct queue *q, uint64_t untrusted, struct queue_time now);

/* queue.c */
int queue_reach(struct queue *q, uint64_t seq); /* the limit on the disk is above seq */
int queue_save_cursors(struct queue *q);
/* *first: of the block that is packed, and of the next when it is full. */
int queue_add(struct queue *q, const struct block_record *rec, uint64_t *first);
int queue_put_block(struct queue *q); /* an empty one is fine */

#endif
