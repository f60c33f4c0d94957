/* SPDX-License-Identifier: MIT */
/* ledger_parts.h - what the two files of the ledger share: ledger.c is the broker's thread, ledger_writer.c the
 * writer's. Nobody else includes it.
 */
#ifndef STORE_LEDGER_PARTS_H
#define STORE_LEDGER_PARTS_H

#include "base/mailbox.h"
#include "store/gather.h"
#include "store/keeper.h"
#include "store/ledger.h"

#include <pthread.h>
#include <stdatomic.h>

/* LATER: a letter back at the time in val, though there was no commit. */
enum ledger_letter { LETTER_COMMIT, LETTER_LATER, LETTER_STOP };

/* What the writer and the broker tell the world. */
struct ledger_figures {
	atomic_uint_fast64_t entries, live_bytes, folios, commits, failures, salvaged, lost, disk_bytes;
	atomic_uint_fast64_t puts, drops, elided, full, waiting_bytes;
	atomic_int_fast64_t room_bytes, max_bytes;
	atomic_bool troubled;
};

struct ledger_file {
	struct ledger_opts opts;
	struct ledger_events events;
	const struct clock *clock;
	int lock_fd; /* one weir for a ledger */
	struct ledger_figures figures;

	/* the broker's side */
	struct gather gathers[2];
	struct gather *now;  /* being filled */
	struct gather *idle; /* NULL: the writer has it */
	uint64_t next;       /* number */
	uint64_t handed, committed;
	size_t out_cost;                    /* memory of what the writer has */
	int64_t out_bytes;                  /* and the disk that it needs */
	int64_t armed_us;                   /* a letter was asked for at this time, and comes if that is yet to be */
	int64_t flush_us;                   /* what a commit takes, about */
	uint64_t last_first;                /* of the gather before */
	unsigned period_puts, period_quick; /* since the last was handed over; quick: dropped again so soon */
	int habit;                          /* of what is put to be dropped soon: see judge() */

	/* between the two */
	struct mailbox inbox; /* to the writer: gathers to be committed, and the end */
	struct mailbox done;  /* and back; its descriptor is wake_fd */
	pthread_t thread;
	bool started;
	atomic_bool stopping;

	/* the writer */
	struct keeper *keeper;
	struct gather *batch; /* to be committed next */
	unsigned failures;    /* in a row */
	int64_t retry_us;
	int64_t later_us; /* INT64_MAX: nobody wants a letter */
	int64_t look_us;  /* for more room on the disk, where it had too little */
};

void *ledger_writer(void *ledger_file);            /* the thread, until it is told to stop */
void ledger_writer_figures(struct ledger_file *f); /* before it runs, or on it */

#endif
