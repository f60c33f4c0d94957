/* SPDX-License-Identifier: MIT */
/* seqlimit.h - the number that none has reached yet, and whether the end was clean, in a file beside a database:
 * queue.seq for the seqs of records, broker.seq for the numbers of the ledger.
 *
 * The counter in the database goes when the database goes: damaged, deleted, restored from an old backup. This file
 * then says where to go on, so that no number is ever given out twice. It is written ahead in large steps, in place, so
 * that a full disk does not stop it. After a clean end there is nothing in the WAL: one that is found then is not of
 * this database.
 */
#ifndef STORE_SEQLIMIT_H
#define STORE_SEQLIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { SEQLIMIT_STEP = 1000000 };

struct seqlimit {
	uint64_t limit; /* 0: not known; of the queue, after a clean end: the very next seq */
	bool clean;
};

/* stem: "queue", "broker" */
int seqlimit_read(const char *dir, const char *stem, struct seqlimit *out); /* {0, false}: none that can be read */
int seqlimit_check(const char *dir, const char *stem); /* -EACCES, -EROFS: it is there, and may not be written */
int seqlimit_write(const char *dir, const char *stem, const struct seqlimit *s); /* 0: on stable storage */
int seqlimit_forget(const char *dir, const char *stem);                          /* it is not known any more */

#endif
