/* SPDX-License-Identifier: MIT */
/* mend.h - a text without a mistake of syntax, so that the rest can be read for further mistakes.
 *
 * A mistake of which it is plain what was meant (a line in the wrong column, a colon or its space forgotten) is put right,
 * and nothing else of the file is missed for it. Of any other the line is taken out: lines keep their numbers and columns
 * then, as what is taken out becomes spaces.
 *
 * Pure.
 */
#ifndef CONFIG_MEND_H
#define CONFIG_MEND_H

#include <stdbool.h>
#include <stddef.h>

enum { MEND_ALL = -1, MEND_MAX_MOVE = 32, MEND_MAX_WITH = 4 };

/* What to do. All zero: nothing is known but the line that is wrong. */
struct mend {
	int first, last, by; /* lines to move `by` columns to the right, or to the left when it is negative; */
	int only;            /* of them those alone that begin behind so many spaces; MEND_ALL: every one */
	size_t at, cut;      /* bytes to replace by `with`, where that is not NULL */
	const char *with;
};

/* The bytes that the mended text may take; 0: there is nothing to do. */
size_t mend_room(const struct mend *m, size_t len);
/* Writes it into out, which has that room, and returns its length. A line that cannot be moved as far to the left is moved
 * as far as it can. */
size_t mend_apply(char *out, const struct mend *m, const char *text, size_t len);

/* Takes out a line (counted from 1) and the lines below that are indented deeper, which are part of it. false: nothing
 * stands there. */
bool mend_line(char *text, size_t len, int line);

/* Tabs that lines are indented by, as many as there are lines with them; the bytes that the text may take without. */
int mend_count_tabs(const char *text, size_t len, size_t *room);
/* Writes the text into out, with spaces for these tabs as the lines around them have, and returns its length. */
size_t mend_tabs(char *out, const char *text, size_t len);

#endif
