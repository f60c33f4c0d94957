/* SPDX-License-Identifier: MIT */
/* store_parts.h - what the two files of the store share: store.c is what other threads call, writer.c is the thread.
 * Nobody else includes it.
 */
#ifndef STORE_STORE_PARTS_H
#define STORE_STORE_PARTS_H

#include "base/mailbox.h"
#include "base/owner.h"
#include "store/queue.h"
#include "store/store.h"
#include "store/thin.h"
#include "store/trust.h"

#include <pthread.h>
#include <stdatomic.h>

enum letter_kind { LETTER_APPEND, LETTER_RELEASE, LETTER_WAKE };

/* Owner: the appending thread; what is atomic is the writer's to set. */
struct store_source {
	struct store *store;
	unsigned number;
	uint64_t ticket; /* given out last */
	int event_fd;
	atomic_uint_fast64_t committed;
	atomic_bool signalled; /* event_fd is readable */
	atomic_bool waits;     /* to be signalled: was told BUSY or FULL, or has something in the last commit */
	atomic_bool gone;
};

struct origin {
	unsigned source;
	uint64_t ticket;
};

struct batch {
	struct msg **msgs;
	struct origin *from;
	size_t count, cap;
	uint64_t *released; /* keys to be forgotten, also at most cap */
	struct origin *released_from;
	size_t released_count;
	size_t bytes, bytes_cap;
	size_t urgent;        /* senders wait for these */
	size_t urgent_before; /* of the batch before */
	int64_t first_us, last_us;
};

/* The upstreams, by number. */
struct roster {
	size_t count;
	char **names;
	atomic_uint_fast64_t *acked;
};

/* Another list of upstreams. Who asks for it waits, and takes it back when that takes too long. */
struct change {
	const struct roster *fresh;
	int result;
	int done_fd; /* eventfd: the writer is done with it */
};

struct figures {
	atomic_uint_fast64_t first_seq, last_seq, commits, records, evicted, thinned, failures, oldest_wall_ms,
		disk_bytes;
};

struct store {
	struct owner owner; /* the writer thread, from store_open() on */
	struct store_opts opts;
	struct thin_rule *thin; /* of opts.thin, our own */
	struct store_events events;
	const struct clock *clock;
	pthread_t thread;
	bool started;
	int dir_fd; /* locked: one weir for a directory */

	/* any thread */
	struct mailbox inbox;
	size_t memory, largest;
	atomic_size_t waiting_bytes, waiting;
	atomic_bool full, stopping, ack_pending;
	atomic_uint_fast64_t refused;
	struct figures figures;
	_Atomic(struct store_source *) sources[STORE_SOURCES];
	atomic_uint source_count;
	uint64_t *once; /* as it was at the start */
	size_t once_count;
	struct roster ups;               /* changed by the writer, while the thread that acknowledges waits for it */
	_Atomic(struct change *) change; /* whoever exchanges it for NULL has it */

	atomic_bool replay_taken, replaying; /* whose the replay is: the asker's, then the writer's */
	atomic_uint_fast64_t replayed;
	struct queue_replay replay;

	/* the writer */
	struct queue *queue; /* NULL: could not be opened yet */
	struct batch batch;
	unsigned failures;                              /* in a row */
	int64_t retry_us, acked_us, swept_us, scrub_us; /* scrub_us INT64_MAX: all was looked at */
	atomic_bool troubled;                           /* the writer's to set */
	struct trust trust;
	bool restamping; /* there may be times to be put right */
};

/* writer.c */
void *writer_run(void *store);                  /* the thread, until store->stopping */
int writer_open_queue(struct store *s);         /* before the thread starts, or on it */
void writer_failed(struct store *s, int error); /* tells, and says when to try again */

#endif
