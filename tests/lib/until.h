/* SPDX-License-Identifier: MIT */
/* until.h - waiting for another thread: the condition is asked each millisecond, and fails the test after UNTIL_MS. */
#ifndef TESTS_LIB_UNTIL_H
#define TESTS_LIB_UNTIL_H

#include <stdbool.h>
#include <time.h>

enum { UNTIL_MS = 20000 };

static inline void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Needs tests/lib/test.h before it. */
#define UNTIL(condition)                                                                                               \
	do {                                                                                                           \
		int left_ms = UNTIL_MS;                                                                                \
		while (!(condition) && left_ms-- > 0)                                                                  \
			sleep_ms(1);                                                                                   \
		if (left_ms <= 0)                                                                                      \
			fail_msg("never came true: %s", #condition);                                                   \
	} while (0)

#endif
