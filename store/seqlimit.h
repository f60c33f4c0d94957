/* SPDX-License-Identifier: MIT */
/* seqlimit.h - the seq that no record has reached yet, in a file of its own.
 *
 * The counter in the database goes when the database goes: damaged, deleted, restored from an old backup. This file
 * then says where to go on, so that no seq is ever given out twice. It is written ahead in large steps, in place, so
 * that a full disk does not stop it.
 */
#ifndef STORE_SEQLIMIT_H
#define STORE_SEQLIMIT_H

#include <stdint.h>

enum { SEQLIMIT_STEP = 1000000 };

int seqlimit_read(const char *dir, uint64_t *limit); /* 0 when there is none, or none that can be read */
int seqlimit_write(const char *dir, uint64_t limit); /* on stable storage when it returns 0 */

#endif
