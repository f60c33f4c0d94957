/* SPDX-License-Identifier: MIT */
/* bare.h - the least that can poll a line: writes each request of a plan when the silence is over, reads its reply, and
 * does nothing else. What it reaches of the physical limit is what the machine lets anyone reach: the way through the
 * pty, and the time until a thread that was woken runs. */
#ifndef TESTS_BENCH_BARE_H
#define TESTS_BENCH_BARE_H

#include "drivers/blocks.h"

/* What a refresh of all blocks took, in microseconds, over so many seconds; < 0: the line did not answer. Ahead of other
 * threads, as a line is. */
double bare_refresh_us(const char *path, const struct line_opts *l, const struct blocks *b, int64_t seconds);

#endif
