/* SPDX-License-Identifier: MIT */
/* pool.h - objects of one size, at most cap of them, reused without malloc.
 *
 * Owner     one thread; no locks.
 * Memory    slabs are taken as the pool fills and kept until pool_fini(); at most cap objects.
 * When full pool_get() returns NULL (REJECT_NEW) and refused counts it.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool {
	size_t size, cap, used, made;
	uint64_t refused;
	struct pool_free *free;
	struct pool_slab *slabs;
};

void pool_init(struct pool *p, size_t object_size, size_t cap);
void pool_fini(struct pool *p);           /* every object of it is gone */
void *pool_get(struct pool *p);           /* zeroed */
void pool_put(struct pool *p, void *obj); /* NULL is fine */

#endif
