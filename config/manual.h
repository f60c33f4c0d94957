/* SPDX-License-Identifier: MIT */
/* manual.h - the manual page of the configuration, printed from the key tables. */
#ifndef CONFIG_MANUAL_H
#define CONFIG_MANUAL_H

#include "config/key.h"

#include <stdio.h>

/* man(7): head as it stands (.TH, NAME, DESCRIPTION), a section per table, then tail. 0 or -errno. */
int manual_print(FILE *out, const struct key_table *table, const char *head, const char *tail);

#endif
