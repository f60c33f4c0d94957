/* SPDX-License-Identifier: MIT */
/* squeeze.h - payloads made smaller by Zstandard.
 *
 * Owner     the bridge's loop thread.
 * Memory    a context of the library's (1 to 2 MB, taken with the first payload) and one buffer for the result, which
 *           grows to the largest.
 */
#ifndef BRIDGE_SQUEEZE_H
#define BRIDGE_SQUEEZE_H

#include <stddef.h>
#include <stdint.h>

struct squeeze;

int squeeze_new(struct squeeze **out);
void squeeze_free(struct squeeze *s); /* NULL is fine */

/* One whole frame, with its length in its head and a checksum at its end; valid until the next call. */
int squeeze_run(struct squeeze *s, const void *bytes, size_t len, const uint8_t **out, size_t *out_len);

#endif
