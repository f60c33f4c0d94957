/* SPDX-License-Identifier: MIT */
/* fieldsim.h - a weir-sim of a bench's own: a process that is told what to do and asked what it counted.
 *
 * It runs with --exact, so that what is measured is not its own lateness; what is left of that it counts (late_us).
 */
#ifndef TESTS_BENCH_FIELDSIM_H
#define TESTS_BENCH_FIELDSIM_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct fieldsim {
	pid_t pid;
	FILE *to, *from;
};

/* Ends the bench with a word when it does not start. */
void fieldsim_start(struct fieldsim *s, const char *program, const char *line);
void fieldsim_stop(struct fieldsim *s);
void fieldsim_tell(struct fieldsim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A counter of its line, by name: fieldsim_count(s, "bench", "requests"). */
int64_t fieldsim_count(struct fieldsim *s, const char *line, const char *counter);

#endif
