/* SPDX-License-Identifier: MIT */
/* ledger.h - who keeps the broker's ledger (broker/ledger.h): broker.db, with a writer thread of its own.
 *
 * Owner     whoever has the broker: its own thread while it runs, the one that makes and frees it before and after.
 *           Opening and closing are for whoever starts and stops it.
 * Commits   what the broker's turns put and drop is gathered in memory; when the writer is idle at the end of a turn it
 *           gets all of it as one commit, with one flush. So a sender alone waits for one flush, and with many the
 *           commits grow with what a flush costs. Where most of what is put is dropped again at once, that is
 *           waited for as long as a commit takes, three milliseconds at most; what nobody asked a ticket for waits for
 *           company, a second at most. The broker calls turn_over() at the end of every turn of its loop, also of one
 *           that only wake_fd began: that is what hands the next commit over.
 * Waking    wake_fd becomes readable after each commit, and when it is time to hand the next one over.
 * Bounds    opts.memory_bytes gathered and not committed (LEDGER_BUSY), opts.max_bytes on the disk (LEDGER_FULL), or
 *           with opts.preallocate half of what the disk has, where that is less; more is looked for every few seconds.
 *           What was put counts at once, what was dropped when it is committed and tidied away. A thirty-second part of
 *           the bound is kept for what only replaces or moves on; put() is -ENOSPC when that is used up as well.
 * Trouble   while the disk does not take a commit it is tried again, and nothing is called safe.
 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include "base/clock.h"
#include "broker/ledger.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger_file;

struct ledger_opts {
	const char *dir;      /* of broker.db; it is there */
	int64_t max_bytes;    /* on the disk: database, WAL and index together; at least 1 MiB */
	int64_t memory_bytes; /* that wait for a commit */
	bool sync;            /* a commit is flushed to the disk: survives a power cut; else a crash of weir only */
	bool preallocate;     /* take the room on the disk at the start */
};

/* Told on the writer's thread; must only post. */
struct ledger_events {
	void *ctx;
	void (*trouble)(void *ctx, const char *sentence); /* valid during the call; NULL: it is over */
};

/* 0, or -errno: -EBUSY another weir uses it, -EPROTO a newer weir wrote it, -EACCES and the like; the reason is logged. A
 * damaged file is set aside, and what can be read of it is in the new one. A disk that is full or fails is not an
 * error as long as what is there can be read: what is put waits in memory, trouble() is told, and it is tried again. */
int ledger_open(struct ledger_file **out, const struct ledger_opts *opts, const struct ledger_events *events,
	const struct clock *clock);
/* The seam, for the broker. Its replay() must be called once, and begins the writer. */
struct ledger ledger_seam(struct ledger_file *f);
void ledger_close(struct ledger_file *f); /* commits what was gathered; NULL is fine */

struct ledger_stats {
	uint64_t entries, live_bytes, folios; /* on the disk, and alive; the rows they stand in */
	uint64_t commits, failures;
	uint64_t puts, drops, elided, full; /* elided: dropped before they were written; full: refused */
	uint64_t salvaged, lost;            /* of damaged files */
	uint64_t waiting_bytes;             /* gathered, not committed */
	int64_t disk_bytes;
	int64_t max_bytes; /* the bound that holds: opts.max_bytes, or what the disk has room for */
	bool troubled;
};
void ledger_stats(struct ledger_file *f, struct ledger_stats *out); /* any thread */

/* --- backup: what lives, in one file ----------------------------------------------------------------------------- */

struct ledger_copy {
	uint64_t entries; /* copied */
	uint64_t lost;    /* damaged in the original */
	bool unknown;     /* and there may be more */
};

/* Of a running ledger or not: one moment between two commits. Its writer is not held up, its write-ahead log grows until
 * the copy is done. to must not exist. -ENOENT: there is no ledger. */
int ledger_backup(const char *dir, const char *to, struct ledger_copy *out);
/* Into a directory whose ledger nobody uses (-EBUSY). What was there is kept as broker-TIME.db. */
int ledger_restore(const char *dir, const char *from, struct ledger_copy *out);

#endif
