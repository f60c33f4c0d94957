/* SPDX-License-Identifier: MIT */
/* dump.h - a bound struct back to YAML that binds to an equal struct.
 *
 * What was written and what differs from its default stands in it; with DUMP_DEFAULTS the rest stands there, too, as
 * comments, so that a reader sees every value that is in force. Keys of type KEY_TREE are left out.
 */
#ifndef CONFIG_DUMP_H
#define CONFIG_DUMP_H

#include "config/key.h"

#include <stdio.h>

enum dump_mode { DUMP_GIVEN, DUMP_DEFAULTS };

int dump_table(FILE *out, const struct key_table *table, const void *item, enum dump_mode mode); /* 0 or -errno */

/* Both hold the same, key by key; heads and members that are no keys do not count. */
bool dump_equal(const struct key_table *table, const void *a, const void *b);

/* Text as a YAML scalar: bare where that is safe, else in double quotes with escapes. */
void dump_text(FILE *out, const char *text);

#endif
