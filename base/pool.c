/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { SLAB_BYTES = 16 * 1024 };

struct pool_free {
	struct pool_free *next;
};

struct pool_slab {
	struct pool_slab *next;
	alignas(max_align_t) uint8_t bytes[];
};

void pool_init(struct pool *p, size_t object_size, size_t cap)
{
	size_t size = object_size < sizeof(struct pool_free) ? sizeof(struct pool_free) : object_size;

	*p = (struct pool){.cap = cap};
	p->size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

void pool_fini(struct pool *p)
{
	while (p->slabs) {
		struct pool_slab *s = p->slabs;

		p->slabs = s->next;
		free(s);
	}
	*p = (struct pool){0};
}

static int grow(struct pool *p)
{
	size_t count = SLAB_BYTES / p->size > 0 ? SLAB_BYTES / p->size : 1;
	struct pool_slab *s;

	if (count > p->cap - p->made)
		count = p->cap - p->made;
	s = malloc(sizeof(*s) + count * p->size);
	if (!s)
		return -1;
	s->next = p->slabs;
	p->slabs = s;
	for (size_t i = count; i-- > 0;) {
		struct pool_free *f = (struct pool_free *)(void *)(s->bytes + i * p->size);

		f->next = p->free;
		p->free = f;
	}
	p->made += count;
	return 0;
}

void *pool_get(struct pool *p)
{
	struct pool_free *f;

	if (!p->free && (p->made >= p->cap || grow(p) < 0)) {
		p->refused++;
		return NULL;
	}
	f = p->free;
	p->free = f->next;
	p->used++;
	return memset(f, 0, p->size);
}

void pool_put(struct pool *p, void *obj)
{
	struct pool_free *f = obj;

	if (!f)
		return;
	f->next = p->free;
	p->free = f;
	p->used--;
}
