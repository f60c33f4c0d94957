/* SPDX-License-Identifier: MIT */
/* quarantine.h - records that an upstream will never take, kept with the reason: DIR/quarantine-NAME.jsonl.
 *
 * Owner     the bridge's loop thread.
 * Promise   quarantine_keep() returns 0 once the record is on stable storage; only then may the cursor pass it.
 * Bounds    max_bytes on disk: past half of that the file becomes NAME.jsonl.1, and the one that had that name goes;
 *           logged. A line each, in the order of refusal:
 *           {"seq":7,"t":1763689123123,"code":149,"reason":"packet too large","topic":"a/b","qos":1,"retain":false,
 *            "payload":"text"} or "payload64" where it is not UTF-8; "props64" where it has properties.
 */
#ifndef BRIDGE_QUARANTINE_H
#define BRIDGE_QUARANTINE_H

#include "base/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct quarantine;

int quarantine_open(struct quarantine **out, const char *dir, const char *upstream, int64_t max_bytes);
void quarantine_close(struct quarantine *q); /* NULL is fine */
int quarantine_keep(struct quarantine *q, uint64_t seq, unsigned code, const char *reason, const struct msg *m);

/* Writes all lines to out, the older file first, and with `drop` removes them then, unless they could not be written.
 * Also while a bridge has the file: what it keeps meanwhile goes to a new one. The number of lines, or -errno. */
long quarantine_print(const char *dir, const char *upstream, FILE *out, bool drop);

/* The path of the file, or with `old` of the one before it; false: it does not fit. */
bool quarantine_path(char *out, size_t cap, const char *dir, const char *upstream, bool old);

#endif
