/* SPDX-License-Identifier: MIT */
/* mend.h - a text without what a mistake of syntax spoils, so that the rest can be read for further mistakes.
 *
 * Pure. Lines keep their numbers and columns: what is taken out becomes spaces.
 */
#ifndef CONFIG_MEND_H
#define CONFIG_MEND_H

#include <stdbool.h>
#include <stddef.h>

/* Takes out a line (counted from 1) and the lines below that are indented deeper, which are part of it. false: nothing
 * stands there. */
bool mend_line(char *text, size_t len, int line);
/* Takes out every line that is indented by a tab. How many. */
int mend_tabs(char *text, size_t len);

#endif
