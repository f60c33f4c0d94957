/* SPDX-License-Identifier: MIT */
/* store.h - the store-and-forward queue: one log of records on SQLite, a cursor per upstream.
 *
 * Owner     a writer thread of its own, started by store_open(). Everything below marked "any thread" posts to it
 *           or reads an atomic.
 * Promise   a record whose ticket is at or below store_source_committed() is on stable storage (durability: power) or
 *           survives kill -9 (durability: process). Never before.
 * Order     records get seq 1, 2, 3, ... in the order of store_append() per source; seq is never used twice in the
 *           life of the database.
 * Bounds    opts.max_bytes on disk, opts.memory_bytes waiting for a commit.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/msg.h"
#include "config/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_source;
struct store_reader;

enum store_durability { STORE_POWER, STORE_PROCESS };
enum store_clock { STORE_CLOCK_AUTO, STORE_CLOCK_SYNCED, STORE_CLOCK_ALWAYS };
enum store_on_full { STORE_EVICT, STORE_REFUSE };

/* Where old readings may be thinned when the bound is near. */
struct store_thin {
	struct key_head head;
	const char *topics; /* a filter */
	int64_t bucket_ms;
};

struct store_opts {
	struct key_head head;
	const char *dir;         /* of queue.db */
	int64_t max_bytes;       /* on the disk: database, WAL and index together */
	int64_t keep_free;       /* the queue does not grow while the file system has less */
	int64_t memory_bytes;    /* appended and not yet committed */
	int64_t commit_ms;       /* the longest a record waits for company */
	int64_t batch;           /* records per commit at most */
	int durability;          /* enum store_durability */
	int on_full;             /* enum store_on_full */
	int clock;               /* enum store_clock */
	int64_t keep_ms;         /* acknowledged records stay this long as history ... */
	int64_t keep_bytes;      /* ... and as long as the queue takes less than this; 0 and 0: not at all */
	bool preallocate;        /* take max_bytes from the disk at the start */
	struct key_list thin;    /* of struct store_thin */
	const char *event_topic; /* of gap records; not a key: set by the gateway, NULL for weir/event */
};
extern const struct key_table store_table;

/* Told on the store thread; must only post. */
struct store_events {
	void *ctx;
	void (*committed)(void *ctx, uint64_t last_seq);  /* there is something new for the upstreams */
	void (*trouble)(void *ctx, const char *sentence); /* valid during the call; NULL: it is over */
};

/* upstreams: the names that have a cursor; a new one begins at the oldest record kept, one no longer named is
 * dropped. Opens (makes, migrates, or sets aside and salvages) the database. A disk that is full or fails is not an
 * error: messages wait in memory, trouble() is told, and it is tried again. 0, or -errno: -EBUSY another weir uses the
 * directory, -EPROTO a newer weir wrote the database, -EACCES and the like; the reason is logged. */
int store_open(struct store **out, const struct store_opts *opts, const char *const *upstreams, size_t upstream_count,
	const struct store_events *events, const struct clock *clock);
/* At a reload, on the thread that acknowledges: another list. Waits for the writer, seconds at most: -EBUSY, it has a disk
 * in trouble or a file to be salvaged; -ENOSPC and the like. After a failure the old one holds. */
int store_set_upstreams(struct store *s, const char *const *upstreams, size_t upstream_count);
void store_close(struct store *s); /* commits what was appended, then stops the thread; NULL is fine */

/* --- writing: a source per appending thread ------------------------------------------------------------------ */

/* Outcomes of store_append(): not taken. BUSY: memory_bytes waits for the disk; hold the message and try again when
 * the descriptor wakes. FULL: on_full is refuse and the disk bound is reached; the descriptor wakes when that is over.
 * -EMSGSIZE: no disk bound would ever hold it. */
enum { STORE_BUSY = 1, STORE_FULL = 2 };

/* One thread calls these two, and they are not for the hot path: at most STORE_SOURCES at a time. */
enum { STORE_SOURCES = 256 };
int store_source_new(struct store_source **out, struct store *s); /* before the threads that use it start */
void store_source_free(struct store_source *src);                 /* before store_close(); NULL is fine */

int store_append(struct store_source *src, struct msg *m, uint64_t *ticket); /* takes its own reference */
int store_source_fd(const struct store_source *src);       /* readable after a commit, or when no longer busy */
uint64_t store_source_committed(struct store_source *src); /* clears the descriptor; tickets up to this are safe */

/* Forgets a msg.once that was taken; safe with its ticket, in the order of store_append(). 0 or STORE_BUSY. */
int store_release(struct store_source *src, uint64_t once, uint64_t *ticket);
/* What was taken and not released when the store was opened; ascending, valid until store_close(). */
const uint64_t *store_once(const struct store *s, size_t *count);

/* --- cursors and numbers: one thread, but for store_stats(), which any may call ----------------------------------- */

/* Upstream number `upstream` (place in the list of store_open) has acknowledged everything up to seq. */
int store_acknowledge(struct store *s, size_t upstream, uint64_t seq);

struct store_stats {
	uint64_t first_seq, last_seq; /* kept on disk; first > last: none */
	uint64_t commits, records;
	uint64_t waiting, waiting_bytes; /* appended, not committed */
	uint64_t evicted, thinned, refused, failures;
	int64_t disk_bytes;
	int64_t oldest_wall_ms;
	bool troubled; /* the disk takes nothing now */
};
void store_stats(struct store *s, struct store_stats *out);
uint64_t store_cursor(struct store *s, size_t upstream); /* acknowledged up to */

/* Puts the records of a time range that are still there (store.keep) at the end of the log again, for one upstream alone
 * and with the user property replay=true. Goes on in the background; -EBUSY: one at a time. Not after a restart. */
int store_replay(struct store *s, size_t upstream, int64_t from_ms, int64_t to_ms);
bool store_replaying(struct store *s, uint64_t *count); /* appended so far, or by the last one */

/* --- reading: any process, a handle per thread --------------------------------------------------------------- */

struct store_record {
	uint64_t seq;
	struct msg *msg; /* reader's reference; valid until the next call on the reader, msg_ref() to keep */
	bool gap;        /* a gap record: payload is its JSON, topic the gateway's event topic */
	uint32_t only;   /* a replay for the upstream with this id; 0: for all */
};

static inline uint32_t store_upstream_id(const char *name) /* never 0 */
{
	uint32_t h = hash32_text(name);

	return h ? h : 1;
}

int store_reader_open(struct store_reader **out, const char *dir);
void store_reader_close(struct store_reader *r);
/* Up to max records with seq > after, ascending; their number, 0 for none, or -errno. Short read transactions. */
int store_read(struct store_reader *r, uint64_t after, struct store_record *out, size_t max);
int store_read_cursor(struct store_reader *r, const char *upstream, uint64_t *seq);

/* --- looking on: any process, while the gateway runs and while it does not ------------------------------------ */

/* What the log holds behind a seq, from the heads of its blocks alone. */
struct store_summary {
	uint64_t first_seq, last_seq; /* first > last: nothing */
	uint64_t records, bytes;
	uint64_t classes[4];    /* records of each; gaps are not counted */
	int64_t from_ms, to_ms; /* by their sources */
	uint64_t recent_bytes;  /* of blocks with a record at or after since_ms */
	int64_t recent_from_ms; /* the first of these begins here */
	int64_t used_bytes;     /* of the database file */
};
int store_summarize(struct store_summary *out, const char *dir, uint64_t after, int64_t since_ms);
int store_cursors(const char *dir, void (*each)(void *ctx, const char *upstream, uint64_t seq), void *ctx);
/* *after: a seq with no record at or after wall_ms at or before it, or next to none: times need not ascend. */
int store_find_time(const char *dir, int64_t wall_ms, uint64_t *after);

/* --- backup: a copy of the log and its cursors in one file ------------------------------------------------------ */

struct store_copy {
	uint64_t records, last_seq; /* copied, and the last of them */
	uint64_t next_seq;          /* where the copy goes on */
	uint64_t lost;              /* damaged in the original */
};

/* Of a running gateway or not; its writer is not held up. to must not exist. The log up to the last commit, the cursors
 * as they were before: what they lag is sent again. */
int store_backup(const char *dir, const char *to, struct store_copy *out);
/* Into a directory that no gateway uses (-EBUSY). The log that was there is kept as queue-TIME.db; seqs go on above all
 * that were given out before or after the backup. */
int store_restore(const char *dir, const char *from, struct store_copy *out);

#endif
