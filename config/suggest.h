/* SPDX-License-Identifier: MIT */
/* suggest.h - the word that was probably meant.
 *
 * Pure. Letters of either case, and `-`, `_` and nothing between words, count as equal.
 */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

#include <stddef.h>

/* Single-character insertions, removals, changes and swaps of neighbours from a to b; > limit: limit + 1. */
size_t suggest_distance(const char *a, const char *b, size_t limit);

struct key_jargon;

/* What to write in place of a word of others; NULL: it is none of the list, or there is no list. */
const char *suggest_instead(const struct key_jargon *list, const char *word);

/* The same for a long word of others with one letter wrong (`adress`). */
const char *suggest_near(const struct key_jargon *list, const char *word);

/* Feed candidates one by one; best is the nearest so far that is near enough, or NULL. */
struct suggestion {
	const char *word;
	const char *best;
	size_t distance;
};
struct suggestion suggest_for(const char *word);
void suggest_try(struct suggestion *s, const char *candidate); /* candidate outlives s */

#endif
