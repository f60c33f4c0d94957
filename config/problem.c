/* SPDX-License-Identifier: MIT */
#include "config/problem.h"

#include "config/columns.h"

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
	{"did not find expected ',' or ']'", NULL, false, "a `,` or the closing `]` is missing before this; add it",
		"the list begins"},
	{"did not find expected ',' or '}'", NULL, false, "a `,` or the closing `}` is missing before this; add it",
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
	{"found unexpected ':'", NULL, false,
		"put the value with the `:` in quotes, or a space behind the `:`; `key: value`", NULL},
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

/* The key at a line's first character, behind the `- ` of lists: letters, digits, `_` and `-`. */
static size_t past_key(const char *text, size_t first, size_t end)
{
	while (first < end && (isalnum((unsigned char)text[first]) || text[first] == '_' || text[first] == '-'))
		first++;
	return first;
}

static bool is_plain(const char *text, size_t first, size_t end)
{
	return end > first && !strchr("\"'{[&*!|>%@`#?", text[first]);
}

/* A line that was to be `key: value` and is read as text instead, with the lines below. Which character is missing. */
static bool lacks_colon(char *out, size_t cap, const char *text, size_t first, size_t end, struct mend *how)
{
	size_t key = past_key(text, first, end), at = past_blanks(text, end, key);

	if (key == first || key - first > 40)
		return false;
	if (at < end && text[at] == '=') {
		*how = (struct mend){.at = key, .cut = past_blanks(text, end, at + 1) - key, .with = ": "};
		snprintf(out, cap, "a `=` stands where a colon belongs; write `%.*s: ...`", (int)(key - first),
			text + first);
	} else if (key < end && text[key] == ':' && key + 1 < end) {
		*how = (struct mend){.at = key + 1, .with = " "};
		snprintf(out, cap, "a space is missing after the colon; write `%.*s: ...`", (int)(key - first),
			text + first);
	} else if (key == end || at > key) {
		*how = (struct mend){.at = key, .with = ":"};
		snprintf(out, cap, "this line is not `key: value`; a colon and a space are missing");
	} else {
		return false;
	}
	return true;
}

static size_t past_dashes(const char *text, size_t first, size_t end)
{
	while (first + 1 < end && text[first] == '-' && text[first + 1] == ' ')
		first = past_blanks(text, end, first + 1);
	return first;
}

/* `line bus` above `unit: 1` is read as one value with it; `pump:#north` above its keys is, too. */
static bool torn_from_above(
	char *out, size_t cap, const char *text, size_t len, struct problem_place *at, struct mend *how)
{
	size_t first, end;
	const char *colon;
	bool torn;

	if (!line_before(text, len, *at, &first, &end))
		return false;
	first = past_dashes(text, first, end);
	colon = memchr(text + first, ':', end - first);
	torn = colon && colon + 1 < text + end && colon[1] == '#';
	if (torn) {
		snprintf(out, cap, "a space is missing before the `#`; without it there is no comment");
		*how = (struct mend){.at = (size_t)(colon + 1 - text), .with = " "};
	} else if (!colon || (colon + 1 < text + end && colon[1] != ' ')) {
		torn = is_plain(text, first, end) && lacks_colon(out, cap, text, first, end, how);
	}
	if (torn)
		*at = problem_place(text, first);
	return torn;
}

static bool torn_here(char *out, size_t cap, const char *text, size_t len, struct problem_place at, struct mend *how)
{
	size_t first = problem_offset(text, len, at), end = first;

	while (end < len && text[end] != '\n' && text[end] != '\r')
		end++;
	return lacks_space(out, cap, text, len, at) ||
	       (is_plain(text, first, end) && lacks_colon(out, cap, text, first, end, how));
}

/* The first character of a line. */
static struct problem_place begin_of(const char *text, size_t len, int line)
{
	size_t i = problem_offset(text, len, (struct problem_place){line, 1});

	return problem_place(text, past_blanks(text, len, i));
}

/* `flow {input: 1}`, `flow:{input: 1}`: the colon that is complained of is one of those within. */
static bool braces_without_colon(
	char *out, size_t cap, const char *text, size_t len, struct problem_place *at, struct mend *how)
{
	struct problem_place begin = begin_of(text, len, at->line);
	size_t first = problem_offset(text, len, begin), here = problem_offset(text, len, *at), i;

	i = past_key(text, first, here);
	while (i < here && strchr(" :=", text[i]))
		i++;
	if (i == here || (text[i] != '{' && text[i] != '[') || !torn_here(out, cap, text, len, begin, how))
		return false;
	*at = begin;
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

/* Lines in columns that do not go together: the one to blame, which need not be the one that was read last. */
static bool out_of_column(
	char *out, size_t cap, const struct problem *p, const char *text, size_t len, struct mend *how)
{
	int line = p->at.line, to;
	bool found = false, at_first = begin_of(text, len, line).column == p->at.column;

	if (same("mapping values are not allowed in this context", p->what))
		found = columns_of_value(how, text, len, line);
	else if (at_first && same("did not find expected key", p->what) &&
		 same("while parsing a block mapping", p->context))
		found = columns_of_key(how, text, len, line, p->from.column);
	else if (same("did not find expected '-' indicator", p->what))
		found = columns_of_entry(how, text, len, line, p->from.column);
	else if (same("did not find expected <document start>", p->what))
		found = columns_of_file(how, text, len, line);
	if (!found)
		return false;
	to = how->by < 0 ? -how->by : how->by;
	snprintf(out, cap, "this line does not go with those around it; begin it %d column%s further to the %s", to,
		to == 1 ? "" : "s", how->by < 0 ? "left" : "right");
	return true;
}

/* What the text around it tells better than the problem itself. */
static bool explained_by_text(char *out, size_t cap, const struct problem *p, const char *text, size_t len,
	struct mend *how, struct problem_place *at)
{
	*at = p->at;
	if (same("found character that cannot start any token", p->what) && starts_token(out, cap, text, len, p->at))
		return true;
	if (same("mapping values are not allowed in this context", p->what) &&
		(torn_from_above(out, cap, text, len, at, how) || braces_without_colon(out, cap, text, len, at, how)))
		return true;
	if (same("did not find expected key", p->what) && closed_below(out, cap, text, len, p->at, at))
		return true;
	if (same("could not find expected ':'", p->what) && torn_here(out, cap, text, len, p->from, how)) {
		*at = p->from;
		return true;
	}
	if (!out_of_column(out, cap, p, text, len, how))
		return false;
	*at = begin_of(text, len, how->first);
	return true;
}

struct problem_place problem_explain(
	char *out, size_t cap, const struct problem *p, const char *text, size_t len, struct mend *how)
{
	const struct sentence *s = look_up(p);
	struct problem_place at;

	*how = (struct mend){0};
	if (explained_by_text(out, cap, p, text, len, how, &at))
		return at;
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
