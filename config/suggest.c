/* SPDX-License-Identifier: MIT */
#include "config/suggest.h"

#include "config/key.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 64 };

/* Lower case, without what joins words. Returns its length; LONGEST + 1 when the word is longer than anything that
 * is worth a suggestion. */
static size_t plain(char out[LONGEST], const char *s)
{
	size_t n = 0;

	for (; *s; s++) {
		if (*s == '-' || *s == '_' || *s == ' ')
			continue;
		if (n == LONGEST)
			return LONGEST + 1;
		out[n++] = (char)tolower((unsigned char)*s);
	}
	return n;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Three rows of the usual table: the one before the last is needed for swaps. */
size_t suggest_distance(const char *a, const char *b, size_t limit)
{
	char x[LONGEST], y[LONGEST];
	size_t rows[3][LONGEST + 1];
	size_t n = plain(x, a), m = plain(y, b);
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	if (n > LONGEST || m > LONGEST)
		return limit + 1;
	for (size_t j = 0; j <= m; j++)
		last[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			row[j] = last[j - 1] + (x[i - 1] != y[j - 1]);
			row[j] = least(row[j], least(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = spare;
	}
	return least(last[m], limit + 1);
}

const char *suggest_instead(const struct key_jargon *list, const char *word)
{
	for (const struct key_jargon *j = list; j && j->word; j++)
		if (suggest_distance(word, j->word, 0) == 0)
			return j->instead;
	return NULL;
}

const char *suggest_near(const struct key_jargon *list, const char *word)
{
	for (const struct key_jargon *j = list; j && j->word; j++)
		if (strlen(j->word) > 5 && suggest_distance(word, j->word, 1) <= 1)
			return j->instead;
	return NULL;
}

/* A third of the letters may be wrong: `no` suggests nothing, `pairty` suggests `parity`. */
struct suggestion suggest_for(const char *word)
{
	size_t len = strlen(word);

	return (struct suggestion){word, NULL, len > 2 ? (len + 2) / 3 + 1 : len};
}

void suggest_try(struct suggestion *s, const char *candidate)
{
	size_t d;

	if (s->distance == 0)
		return;
	d = suggest_distance(s->word, candidate, s->distance);
	if (d < s->distance && d < strlen(candidate)) {
		s->best = candidate;
		s->distance = d;
	} else if (!s->best && strlen(s->word) >= 4 && strstr(candidate, s->word)) {
		s->best = candidate; /* `timeout` for `reply_timeout`, unless something nearer comes */
	}
}
