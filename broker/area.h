/* SPDX-License-Identifier: MIT */
/* area.h - large arrays that grow without being copied and without leaving holes in the heap.
 *
 * Below AREA_MAPPED bytes this is malloc; from there on a mapping of its own, which the kernel moves by its page
 * tables when it grows, and of which only what was touched is resident. The caller remembers the size.
 */
#ifndef BROKER_AREA_H
#define BROKER_AREA_H

#include <stddef.h>

enum { AREA_MAPPED = 256 * 1024 };

void *area_new(size_t bytes); /* zeroed; NULL: no memory */
/* at NULL with old 0: a new one. What is added has any contents below AREA_MAPPED. NULL: no memory, at stays. */
void *area_resize(void *at, size_t old, size_t bytes);
void area_free(void *at, size_t bytes); /* NULL is fine */

#endif
