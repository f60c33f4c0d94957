/* SPDX-License-Identifier: MIT */
/* test.h - cmocka with the headers it wants before it, and the few helpers that every table of cases needs. */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fails a row of a table with its name, which a bare assert would not show. */
#define ROW(name, condition)                                                                                           \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			fail_msg("%s: %s", (name), #condition);                                                        \
	} while (0)

/* A fixed sequence of random numbers: a failure comes back on every run. */
static inline uint32_t test_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

#endif
