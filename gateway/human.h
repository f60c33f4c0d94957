/* SPDX-License-Identifier: MIT */
/* human.h - numbers as people say them, and times as people type them.
 *
 * Pure; texts go into the caller's buffer, which is returned.
 */
#ifndef GATEWAY_HUMAN_H
#define GATEWAY_HUMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HUMAN_MAX = 32 };

const char *human_age(char out[HUMAN_MAX], int64_t ms);       /* "9.5 s", "41 h" */
const char *human_bytes(char out[HUMAN_MAX], int64_t n);      /* "1.5 GiB" */
const char *human_time(char out[HUMAN_MAX], int64_t wall_ms); /* 2026-11-21T05:00:00.000Z */

/* 2026-11-21, 2026-11-21T05:00, 2026-11-21T05:00:30Z (all UTC), now, or how long ago: 90s 30m 2h 7d. */
bool human_read_time(const char *text, int64_t now_ms, int64_t *wall_ms);

#endif
