/* SPDX-License-Identifier: MIT */
/* arena.h - memory that is freed all at once: a configuration load, a command line.
 *
 * Owner     whoever made it; no locks.
 * Memory    grows in blocks up to cap bytes; NULL past that or when the system has none.
 * Lifetime  what it hands out lives until arena_free().
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

int arena_new(struct arena **out, size_t cap);
void arena_free(struct arena *a);                                /* NULL is fine */
void *arena_alloc(struct arena *a, size_t size);                 /* zeroed, aligned for anything */
char *arena_strndup(struct arena *a, const char *s, size_t len); /* terminated */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
