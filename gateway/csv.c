/* SPDX-License-Identifier: MIT */
#include "gateway/csv.h"

#include <string.h>

static size_t count(const char *row, char c)
{
	size_t n = 0;

	for (; *row && *row != '\n'; row++)
		n += *row == c;
	return n;
}

void csv_init(struct csv *c, char *text)
{
	static const char mark[] = "\xef\xbb\xbf", separators[] = ",;\t";

	*c = (struct csv){.at = text, .separator = ',', .next_line = 1};
	if (strncmp(text, mark, 3) == 0)
		c->at += 3;
	for (const char *s = separators; *s; s++)
		if (count(c->at, *s) > count(c->at, c->separator))
			c->separator = *s;
}

static bool is_end(char ch)
{
	return ch == '\0' || ch == '\n' || ch == '\r';
}

/* After the opening quote: the cell is moved together over its doubled quotes. *end is behind the closing one. */
static char *quoted(struct csv *c, char *from, char **end)
{
	char *to = from, *at = from;

	while (*at && (*at != '"' || at[1] == '"')) {
		c->next_line += *at == '\n';
		if (*at == '"')
			at++;
		*to++ = *at++;
	}
	*end = *at ? at + 1 : at;
	if (to < *end)
		*to = '\0';
	return from;
}

static char *plain(struct csv *c, char *from, char **end)
{
	char *at = from;

	while (*at != c->separator && !is_end(*at))
		at++;
	*end = at;
	return from;
}

char *csv_trim(char *cell)
{
	size_t len;

	cell += strspn(cell, " \t");
	len = strlen(cell);
	while (len > 0 && (cell[len - 1] == ' ' || cell[len - 1] == '\t'))
		cell[--len] = '\0';
	return cell;
}

/* One row, empty or not. False: the text is at its end. */
static bool read_row(struct csv *c, char *cells[CSV_CELLS], size_t *n)
{
	*n = 0;
	c->line = c->next_line;
	if (*c->at == '\0')
		return false;
	for (;;) {
		char *end, *cell = *c->at == '"' ? quoted(c, c->at + 1, &end) : plain(c, c->at, &end);
		char stop;

		while (*end != c->separator && !is_end(*end)) /* what stands behind a closing quote is lost */
			end++;
		stop = *end;
		if (stop == '\r' && end[1] == '\n')
			*end++ = '\0';
		c->at = *end ? end + 1 : end;
		*end = '\0';
		if (*n < CSV_CELLS)
			cells[(*n)++] = csv_trim(cell);
		if (stop == c->separator)
			continue;
		c->next_line += stop != '\0';
		return true;
	}
}

size_t csv_row(struct csv *c, char *cells[CSV_CELLS])
{
	size_t n;

	while (read_row(c, cells, &n))
		for (size_t i = 0; i < n; i++)
			if (*cells[i])
				return n;
	return 0;
}
