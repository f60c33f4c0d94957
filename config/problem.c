/* SPDX-License-Identifier: MIT */
#include "config/problem.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* One sentence for each problem. `from` is told at the end where it is set: "; the list begins in line 4". */
struct sentence {
	const char *what, *context; /* context NULL: any */
	bool at_from;               /* the place to look at is where it began */
	const char *text, *from;
};

static const struct sentence sentences[] = {
	{"could not find expected ':'", NULL, true, "this line is not `key: value`; a colon and a space are missing",
		NULL},
	{"mapping values are not allowed in this context", NULL, false,
		"there is a second `: ` in one value; quote the value if the colon belongs to it, or begin this key in "
		"the same column as the key before it",
		NULL},
	{"block sequence entries are not allowed in this context", NULL, false,
		"a list entry cannot stand here; put each `- ` on a line of its own below its key", NULL},
	{"mapping keys are not allowed in this context", NULL, false, "a `? ` cannot stand here; write `key: value`",
		NULL},
	{"did not find expected key", "while parsing a block mapping", false,
		"this is neither a key nor part of a value; begin all keys of one map in the same column, and quote a "
		"value as a whole",
		"the map begins"},
	{"did not find expected '-' indicator", NULL, false,
		"this is not an entry of the list; begin every entry with `- ` in the same column", "the list begins"},
	{"did not find expected ',' or ']'", NULL, false, "a `,` or the closing `]` is missing before this",
		"the list begins"},
	{"did not find expected ',' or '}'", NULL, false, "a `,` or the closing `}` is missing before this",
		"the map begins"},
	{"did not find expected <document start>", NULL, false,
		"the document ends before this; begin every key of the file in the first column", NULL},
	{"did not find expected node content", NULL, false, "a value or a closing bracket is missing before this",
		NULL},
	{"found unexpected end of stream", "while scanning a quoted scalar", true,
		"the quote that opens here is never closed; add the closing quote", NULL},
	{"found unexpected document indicator", "while scanning a quoted scalar", true,
		"the quote that opens here is not closed before the document ends; add the closing quote", NULL},
	{"found unknown escape character", NULL, false,
		"this backslash escape does not exist; double the backslash, or use single quotes", NULL},
	{"did not find expected hexdecimal number", NULL, false,
		"this escape needs hexadecimal digits: \\x41, \\u00b0; double the backslash, or use single quotes",
		NULL},
	{"found invalid Unicode character escape code", NULL, false, "this escape is not a Unicode character", NULL},
	{"did not find expected alphabetic or numeric character", "while scanning an alias", true,
		"a value that begins with `*` must stand in quotes", NULL},
	{"did not find expected alphabetic or numeric character", "while scanning an anchor", true,
		"a value that begins with `&` must stand in quotes", NULL},
	{"did not find expected comment or line break", "while scanning a block scalar", false,
		"a value that begins with `|` or `>` must stand in quotes, or have its text on the lines below", NULL},
	{"found an indentation indicator equal to 0", NULL, false, "the number after `|` or `>` is 1 to 9", NULL},
	{"found a tab character where an indentation space is expected", NULL, false,
		"a tab stands where the line is indented; use spaces", NULL},
	{"found a tab character that violates indentation", NULL, false,
		"a tab stands where the line is indented; use spaces", NULL},
	{"found unexpected ':'", NULL, false, "put the value with the `:` in quotes", NULL},
	{"found undefined tag handle", NULL, true, "a value that begins with `!` must stand in quotes", NULL},
	{"found unknown directive name", NULL, false, "a line that begins with `%` is a directive; remove it", NULL},
	{"found incompatible YAML document", NULL, false, "only YAML 1.1 and 1.2 are read; remove the %YAML line",
		NULL},
	{"control characters are not allowed", NULL, false,
		"a control character stands here; remove it, or write it as an escape in double quotes", NULL},
};

/* Contexts, when the problem itself is one that needs no table. */
static const struct sentence contexts[] = {
	{NULL, "while scanning a tag", true, "a value that begins with `!` must stand in quotes", NULL},
	{NULL, "while parsing a tag", true, "a value that begins with `!` must stand in quotes", NULL},
	{NULL, "while scanning an anchor", true, "a value that begins with `&` must stand in quotes", NULL},
	{NULL, "while scanning an alias", true, "a value that begins with `*` must stand in quotes", NULL},
	{NULL, "while scanning a directive", true, "a line that begins with `%` is a directive; remove it", NULL},
	{NULL, "while scanning a %YAML directive", true, "a line that begins with `%` is a directive; remove it", NULL},
	{NULL, "while scanning a %TAG directive", true, "a line that begins with `%` is a directive; remove it", NULL},
	{NULL, "while scanning a block scalar", true, "this block of text is not complete; indent its lines alike",
		NULL},
};

enum { N_SENTENCES = sizeof(sentences) / sizeof(sentences[0]), N_CONTEXTS = sizeof(contexts) / sizeof(contexts[0]) };

static bool same(const char *want, const char *have)
{
	return !want || (have && strcmp(want, have) == 0);
}

static const struct sentence *look_up(const struct problem *p)
{
	for (size_t i = 0; i < N_SENTENCES; i++) {
		if (same(sentences[i].what, p->what) && same(sentences[i].context, p->context))
			return &sentences[i];
	}
	for (size_t i = 0; i < N_CONTEXTS; i++) {
		if (same(contexts[i].context, p->context))
			return &contexts[i];
	}
	return NULL;
}

/* --- places -------------------------------------------------------------------------------------------------- */

/* CR LF counts once, as libyaml has it. */
static bool line_ends(const char *text, size_t len, size_t i)
{
	return text[i] == '\n' || (text[i] == '\r' && (i + 1 == len || text[i + 1] != '\n'));
}

static bool begins_char(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t problem_offset(const char *text, size_t len, struct problem_place at)
{
	int line = 1, column = 0;

	for (size_t i = 0; i < len; i++) {
		column += begins_char(text[i]);
		if (line == at.line && column == at.column)
			return i;
		if (line_ends(text, len, i)) {
			line++;
			column = 0;
		}
	}
	return len;
}

struct problem_place problem_place(const char *text, size_t offset)
{
	struct problem_place at = {1, 1};

	for (size_t i = 0; i < offset; i++) {
		if (line_ends(text, offset, i))
			at = (struct problem_place){at.line + 1, 1};
		else
			at.column += begins_char(text[i]);
	}
	return at;
}

/* --- sentences that depend on the text ----------------------------------------------------------------------- */

static bool starts_token(char *out, size_t cap, const char *text, size_t len, struct problem_place at)
{
	size_t i = problem_offset(text, len, at);

	if (i == len)
		return false;
	if (text[i] == '\t')
		snprintf(out, cap, "a tab stands where the line is indented; use spaces");
	else if (text[i] == '`')
		snprintf(out, cap, "a value cannot begin with a backtick; put it in quotes");
	else
		snprintf(out, cap, "a value cannot begin with `%c`; put it in quotes", text[i]);
	return true;
}

/* `baud:9600` */
static bool lacks_space(char *out, size_t cap, const char *text, size_t len, struct problem_place at)
{
	size_t i = problem_offset(text, len, at);
	size_t begin = i;

	while (i < len && (isalnum((unsigned char)text[i]) || text[i] == '_' || text[i] == '-'))
		i++;
	if (i == begin || i + 1 >= len || text[i] != ':' || isspace((unsigned char)text[i + 1]) || i - begin > 40)
		return false;
	if (len - i > 2 && memcmp(text + i + 1, "\xc2\xa0", 2) == 0)
		snprintf(out, cap, "a no-break space stands after the colon; write a plain one");
	else
		snprintf(out, cap, "a space is missing after the colon; write `%.*s: ...`", (int)(i - begin),
			text + begin);
	return true;
}

static size_t past_blanks(const char *text, size_t len, size_t i)
{
	while (i < len && text[i] == ' ')
		i++;
	return i;
}

/* The line before that of `at` which has something in it: where its first character and its end are. False: none. */
static bool line_before(const char *text, size_t len, struct problem_place at, size_t *first, size_t *end)
{
	size_t i = problem_offset(text, len, (struct problem_place){at.line, 1});

	while (i > 0 && isspace((unsigned char)text[i - 1]))
		i--;
	*end = i;
	while (i > 0 && text[i - 1] != '\n')
		i--;
	*first = past_blanks(text, len, i);
	return *end > *first;
}

/* `line bus` above `unit: 1`, in the same column, is read as one value; `pump:#north` above its keys is, too. */
static bool torn_from_above(
	char *out, size_t cap, const char *text, size_t len, struct problem_place at, struct problem_place *from)
{
	size_t first, end, here = problem_offset(text, len, (struct problem_place){at.line, 1});
	const char *hash, *colon;

	if (!line_before(text, len, at, &first, &end))
		return false;
	*from = problem_place(text, first);
	colon = memchr(text + first, ':', end - first);
	hash = colon && colon + 1 < text + end && colon[1] == '#' ? colon : NULL;
	if (hash)
		snprintf(out, cap, "a space is missing before the `#`; without it there is no comment");
	else if (!colon && past_blanks(text, len, here) - here + 1 == (size_t)from->column)
		snprintf(out, cap, "this line is not `key: value`; a colon and a space are missing");
	else
		return false;
	return true;
}

/* A quote that was forgotten ends where the next one begins, which may be many lines below. */
static bool closed_below(
	char *out, size_t cap, const char *text, size_t len, struct problem_place at, struct problem_place *from)
{
	size_t end = problem_offset(text, len, at), i;
	char quote;

	if (end < 2 || end >= len || (text[end - 1] != '"' && text[end - 1] != '\''))
		return false;
	quote = text[end - 1];
	for (i = end - 1; i > 0 && text[i - 1] != quote;)
		i--;
	if (i == 0)
		return false;
	*from = problem_place(text, i - 1);
	snprintf(out, cap, "the quote that opens here is closed only in line %d; add the closing quote", at.line);
	return from->line < at.line;
}

struct problem_place problem_explain(char *out, size_t cap, const struct problem *p, const char *text, size_t len)
{
	const struct sentence *s = look_up(p);
	struct problem_place from;

	if (same("found character that cannot start any token", p->what) && starts_token(out, cap, text, len, p->at))
		return p->at;
	if (same("could not find expected ':'", p->what) && lacks_space(out, cap, text, len, p->from))
		return p->from;
	if (same("mapping values are not allowed in this context", p->what) &&
		torn_from_above(out, cap, text, len, p->at, &from))
		return from;
	if (same("did not find expected key", p->what) && closed_below(out, cap, text, len, p->at, &from))
		return from;
	if (!s) {
		snprintf(out, cap, "is not YAML: %s; check quotes, brackets and indentation here",
			p->what ? p->what : "unreadable");
		return p->at;
	}
	if (s->from)
		snprintf(out, cap, "%s (%s in line %d)", s->text, s->from, p->from.line);
	else
		snprintf(out, cap, "%s", s->text);
	return s->at_from ? p->from : p->at;
}
