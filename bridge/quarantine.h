/* SPDX-License-Identifier: MIT */
/* quarantine.h - records that an upstream will never take, kept with the reason: DIR/quarantine-NAME.jsonl.
 *
 * Owner     the bridge's loop thread.
 * Promise   quarantine_keep() returns 0 once the record is on stable storage; only then may the cursor pass it.
 * Bounds    max_bytes on disk: past half of that the file becomes NAME.jsonl.1, and the one that had that name goes;
 *           logged. A line each (aside.h), in the order of refusal.
 */
#ifndef BRIDGE_QUARANTINE_H
#define BRIDGE_QUARANTINE_H

#include "bridge/aside.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct quarantine;

int quarantine_open(struct quarantine **out, const char *dir, const char *upstream, int64_t max_bytes);
void quarantine_close(struct quarantine *q); /* NULL is fine */
int quarantine_keep(struct quarantine *q, const struct aside *a);

/* Writes all lines to out (NULL: counts them), the older file first, and with `drop` removes them then, unless they
 * could not be written. Also while a bridge has the file: what it keeps meanwhile goes to a new one. The number of
 * lines, or -errno. */
long quarantine_print(const char *dir, const char *upstream, FILE *out, bool drop);

/* The path of the file, or with `old` of the one before it; false: it does not fit. */
bool quarantine_path(char *out, size_t cap, const char *dir, const char *upstream, bool old);

/* The file, opened with these flags and locked, so that it neither grows nor moves meanwhile: a descriptor, -ENOENT,
 * -ELOOP for a link, which whoever is root must not follow, -EWOULDBLOCK where it is not to be waited for, or -errno. */
int quarantine_lock(const char *path, int flags, bool wait);
int quarantine_sync_dir(const char *path); /* what was renamed, made or removed beside path is so on the disk */

#endif
