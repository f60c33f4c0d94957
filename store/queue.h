/* SPDX-License-Identifier: MIT */
/* queue.h - the log of records and the cursors of its upstreams, on db.h.
 *
 * Owner     one thread; no locks.
 * Seq       given out here, ascending, never twice: the counter is kept beside the log and in seqlimit.h.
 * Atomic    queue_commit() does all or nothing: drop what is settled, move cursors, make room, append. After a failure
 *           the same messages may be committed again, and get the same seqs.
 * Bounds    opts.max_bytes: database, WAL and index together.
 * Time      callers pass it.
 */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "base/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

struct queue_opts {
	const char *dir;
	bool sync, preallocate;
	bool refuse; /* when full: queue_commit() fails with -ENOSPC, nothing is evicted */
	int64_t max_bytes;
	int64_t spare_bytes;          /* with refuse: full is what has less left, for what is on its way */
	int64_t keep_free;            /* the queue does not grow while the file system has less; 0: not looked at */
	int64_t keep_ms;              /* settled records stay as history this long ... */
	int64_t keep_bytes;           /* ... and as long as the log takes less than this; 0 and 0: not at all */
	const char *event_topic;      /* of gap records; must stay */
	const struct thin_rule *thin; /* store/thin.h; must stay */
	size_t thin_count;
};

/* Records taken before trusted_ms (monotonic) have times of a clock that was not right: INT64_MAX, it still is not. */
struct queue_time {
	int64_t mono_ms, wall_ms;
	int64_t trusted_ms;
	uint32_t boot; /* which the monotonic clock counts from; 0: not known, and times are taken as they are */
};

/* What the log knows of the clock. */
struct queue_clock {
	int64_t newest_ms; /* of the last block; INT64_MIN: it is empty */
	uint32_t trusted;  /* the last boot in which the clock was found right; 0: none */
};

/* The largest message that can be stored, and the bytes of one commit at most. */
size_t queue_batch_bytes(int64_t max_bytes);

/* upstreams: those that have a cursor; a new one begins at the oldest record kept, others are dropped. A file that is
 * damaged is set aside and salvaged. 0, or -errno with the reason logged. */
int queue_open(struct queue **out, const struct queue_opts *opts, const char *const *upstreams, size_t count,
	struct queue_time now);
void queue_close(struct queue *q); /* marks the end as clean; NULL is fine */

/* Another list, as in queue_open(): cursors of names that stay keep their place. After a failure the old list holds. */
int queue_set_upstreams(struct queue *q, const char *const *upstreams, size_t count);

/* 0: the messages are as safe as opts.sync says; -ENOSPC, -EBUSY, -EIO, ...: none is, and the transaction is undone;
 * -EBADMSG: the file is damaged, see queue_mend(). count may be 0: cursors and drops alone. */
int queue_commit(struct queue *q, struct msg *const *msgs, size_t count, struct queue_time now);
const char *queue_text(const struct queue *q); /* what went wrong last */

/* What must not be taken twice (msg.once): remembered in the transaction that takes it, until it is forgotten with a
 * commit. keys are borrowed until that commit has returned 0. */
void queue_forget(struct queue *q, const uint64_t *keys, size_t count);
const uint64_t *queue_once(const struct queue *q, size_t *count); /* remembered when the queue was opened; ascending */

/* After a failure: opens the files again; when the file is damaged (-EBADMSG), sets it aside and salvages it. */
int queue_mend(struct queue *q, bool damaged, struct queue_time now);

/* Looks at blocks, oldest first, about `bytes` of them, where the last call ended: 0, QUEUE_SCRUBBED after the last of
 * them, -EBADMSG. So that damage is found before somebody needs what is there. */
enum { QUEUE_SCRUBBED = 1 };
int queue_scrub(struct queue *q, size_t bytes);

/* Appends some of the records of a time range again, for one upstream alone: 0 for more to come,
 * QUEUE_REPLAYED, -ENOSPC when there is no room without evicting, -errno. */
enum { QUEUE_REPLAYED = 1 };
struct queue_replay {
	int64_t from_ms, to_ms; /* from <= wall < to */
	uint32_t target;        /* store_upstream_id() */
	uint64_t after, end;    /* 0: from the oldest to what is the newest now */
	uint64_t count;         /* appended */
	bool done;
};
int queue_replay(struct queue *q, struct queue_replay *r);

/* Puts right the times of some of the records that were taken before the clock was, in this boot or an earlier one: 0 for
 * more to come, QUEUE_RESTAMPED when there are none (any more), -errno. */
enum { QUEUE_RESTAMPED = 1 };
int queue_restamp(struct queue *q);
bool queue_restamping(const struct queue *q); /* there are some */
void queue_clock(const struct queue *q, struct queue_clock *out);

void queue_acknowledge(struct queue *q, size_t upstream, uint64_t seq); /* in memory, until the next commit */
uint64_t queue_cursor(const struct queue *q, size_t upstream);
bool queue_unsaved(const struct queue *q); /* another commit has something to do: cursors to save, room to make */

struct queue_stats {
	uint64_t first_seq, last_seq; /* on disk; first > last: none */
	uint64_t evicted, thinned, salvaged, lost;
	uint64_t commits;
	int64_t disk_bytes, free_bytes; /* in use; what may still come */
	bool full;                      /* with opts.refuse: no more should come */
	int64_t oldest_wall_ms;
};
void queue_stats(const struct queue *q, struct queue_stats *out);

#endif
