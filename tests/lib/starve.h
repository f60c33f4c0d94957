/* SPDX-License-Identifier: MIT */
/* starve.h - one allocation fails, the nth from now on. For one file of a test program, which is linked with --wrap of
 * malloc, calloc and realloc: what its libraries in the system allocate is left alone. */
#ifndef TESTS_LIB_STARVE_H
#define TESTS_LIB_STARVE_H

#include <stdbool.h>
#include <stdlib.h>

/* The linker leads every allocation of the program here. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static int until_failure; /* the allocation that fails, counted down; 0: none, or it has failed */

static bool fails(void)
{
	return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

#endif
