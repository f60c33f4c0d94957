/* SPDX-License-Identifier: MIT */
/* seqlimit.h - the seq that no record has reached yet, and whether the end was clean, in a file of their own.
 *
 * The counter in the database goes when the database goes: damaged, deleted, restored from an old backup. This file
 * then says where to go on, so that no seq is ever given out twice. It is written ahead in large steps, in place, so
 * that a full disk does not stop it. After a clean end there is nothing in the WAL: one that is found then is not of
 * this database.
 */
#ifndef STORE_SEQLIMIT_H
#define STORE_SEQLIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { SEQLIMIT_STEP = 1000000 };

struct seqlimit {
	uint64_t limit; /* 0: not known; after a clean end the very next seq */
	bool clean;
};

int seqlimit_read(const char *dir, struct seqlimit *out);      /* {0, false} when there is none that can be read */
int seqlimit_write(const char *dir, const struct seqlimit *s); /* on stable storage when it returns 0 */

#endif
