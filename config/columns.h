/* SPDX-License-Identifier: MIT */
/* columns.h - which line stands in the wrong column, when the lines of a text do not fit together.
 *
 * libyaml complains of the first line that does not go with those before it. What a person moved by mistake is as often
 * the line above, and in a map of five keys the one that stands out is the one to name: what is alone among its
 * neighbours, and where that does not tell, what is the rarest in the file.
 *
 * Pure. Lines count from 1, indentation in spaces; empty lines and comments are passed over.
 */
#ifndef CONFIG_COLUMNS_H
#define CONFIG_COLUMNS_H

#include "config/mend.h"

/* The line to blame is mend.first, and mend.by columns to the right it would be right. All false when nothing fits. */

/* The line is read as part of the value in the line above, being further to the right. */
bool columns_of_value(struct mend *out, const char *text, size_t len, int line);
/* The line belongs to no map: it is further to the right than the keys of the one that begins in column `block`, and to
 * the left of what stands below its last key. */
bool columns_of_key(struct mend *out, const char *text, size_t len, int line, int block);
/* The line begins with `- `, and the list in another column. */
bool columns_of_entry(struct mend *out, const char *text, size_t len, int line, int list);
/* The line stands in the first column, and the first of the file does not. */
bool columns_of_file(struct mend *out, const char *text, size_t len, int line);

#endif
