/* SPDX-License-Identifier: MIT */
#include "broker/area.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void *area_new(size_t bytes)
{
	return bytes < AREA_MAPPED ? calloc(1, bytes) : map(bytes);
}

void *area_resize(void *at, size_t old, size_t bytes)
{
	void *more;

	if (bytes < AREA_MAPPED && old < AREA_MAPPED)
		return realloc(at, bytes);
	if (bytes >= AREA_MAPPED && old >= AREA_MAPPED) {
		more = mremap(at, old, bytes, MREMAP_MAYMOVE);
		return more == MAP_FAILED ? NULL : more;
	}
	more = bytes < AREA_MAPPED ? malloc(bytes) : map(bytes);
	if (more && at) {
		memcpy(more, at, old < bytes ? old : bytes);
		area_free(at, old);
	}
	return more;
}

void area_free(void *at, size_t bytes)
{
	if (!at)
		return;
	if (bytes < AREA_MAPPED)
		free(at);
	else
		munmap(at, bytes);
}
