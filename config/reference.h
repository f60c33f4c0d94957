/* SPDX-License-Identifier: MIT */
/* reference.h - docs/reference.md, printed from the key tables. */
#ifndef CONFIG_REFERENCE_H
#define CONFIG_REFERENCE_H

#include "config/key.h"

#include <stdio.h>

/* Markdown: a section per table, in the order in which they are met from table on. 0 or -errno. */
int reference_print(FILE *out, const struct key_table *table, const char *title, const char *intro);

#endif
