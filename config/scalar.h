/* SPDX-License-Identifier: MIT */
/* scalar.h - one value of one key: from its text to the member, or a sentence that says what would be right.
 *
 * Pure but for the arena, which copies nothing: texts stay where the tree has them.
 */
#ifndef CONFIG_SCALAR_H
#define CONFIG_SCALAR_H

#include "config/node.h"

enum { SCALAR_FAULT_CAP = 400 };
struct scalar_fault {
	char text[SCALAR_FAULT_CAP];
};

/* Says what is wrong; false. */
bool scalar_refuse(struct scalar_fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* n is a scalar, key->type none of TABLE, LIST, MAP, FLAGS. Writes *member, or f. */
bool scalar_parse(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f);
/* The value of one name of a list of flags. */
bool scalar_choice(int *value, const struct key *key, const struct key_node *n, struct scalar_fault *f);

/* As it would stand in YAML; texts bare. Returns out. Not for TABLE, LIST, MAP, FLAGS. */
const char *scalar_text(char *out, size_t cap, const struct key *key, const void *member);
/* "1 .. 247", "10ms .. 1m", "at most 64KiB"; "" where the key has no range. Returns out. */
const char *scalar_range(char *out, size_t cap, const struct key *key);
/* "even, odd or none"; as many as fit. Returns out. */
const char *scalar_choices(char *out, size_t cap, const struct key *key);

#endif
