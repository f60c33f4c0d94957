/* SPDX-License-Identifier: MIT */
/* meter.h - what a process has used, and how long things took. */
#ifndef TESTS_BENCH_METER_H
#define TESTS_BENCH_METER_H

#include <stdint.h>
#include <sys/types.h>

/* CPU time of a process, all its threads, user and system, in ns as its scheduler counts it. */
int64_t meter_cpu_ns(pid_t pid);
int64_t meter_resident(pid_t pid); /* bytes */

/* Durations in buckets of 1/64 of a power of two: 1.6 % wide, no memory per sample. */
enum { METER_BUCKETS = 64 * 40 };
struct meter_spread {
	uint64_t count, bucket[METER_BUCKETS];
};
void meter_add(struct meter_spread *s, int64_t ns);
double meter_quantile_us(const struct meter_spread *s, double q);

#endif
