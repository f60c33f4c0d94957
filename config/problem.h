/* SPDX-License-Identifier: MIT */
/* problem.h - what libyaml complains of, in words that help.
 *
 * Pure; knows libyaml's strings but not its header.
 */
#ifndef CONFIG_PROBLEM_H
#define CONFIG_PROBLEM_H

#include "config/mend.h"

struct problem_place {
	int line, column; /* 1-based */
};

struct problem {
	const char *context, *what; /* libyaml's; either may be NULL */
	struct problem_place at;    /* where it gave up */
	struct problem_place from;  /* where that began which it could not finish */
};

/* Writes the sentence into out and returns the place that it speaks of. text is the whole file. how: what puts it right,
 * where that is known. */
struct problem_place problem_explain(
	char *out, size_t cap, const struct problem *p, const char *text, size_t len, struct mend *how);

/* The byte at a place of libyaml's, which counts characters; len when it is past the end. */
size_t problem_offset(const char *text, size_t len, struct problem_place at);
struct problem_place problem_place(const char *text, size_t offset);

#endif
