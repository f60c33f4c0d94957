/* SPDX-License-Identifier: MIT */
#include "config/mend.h"

#include "config/problem.h"

#include <ctype.h>
#include <string.h>

struct stretch {
	size_t begin, first, end; /* of a line; its first character that is no blank; its end without the line break */
};

static bool is_break(char c)
{
	return c == '\n' || c == '\r';
}

static struct stretch line_at(const char *text, size_t len, size_t begin)
{
	struct stretch s = {begin, begin, begin};

	while (s.end < len && !is_break(text[s.end]))
		s.end++;
	while (s.first < s.end && (text[s.first] == ' ' || text[s.first] == '\t'))
		s.first++;
	return s;
}

static size_t next_line(const char *text, size_t len, size_t end)
{
	if (end < len && text[end] == '\r' && end + 1 < len && text[end + 1] == '\n')
		return end + 2;
	return end < len ? end + 1 : len;
}

static bool is_empty(const struct stretch *s)
{
	return s->first == s->end;
}

static void take_out(char *text, const struct stretch *s)
{
	memset(text + s->begin, ' ', s->end - s->begin);
}

bool mend_line(char *text, size_t len, int line)
{
	size_t begin = problem_offset(text, len, (struct problem_place){line, 1}), indent;
	struct stretch s = line_at(text, len, begin);

	if (begin >= len || is_empty(&s))
		return false;
	indent = s.first - s.begin;
	take_out(text, &s);
	for (begin = next_line(text, len, s.end); begin < len; begin = next_line(text, len, s.end)) {
		s = line_at(text, len, begin);
		if (!is_empty(&s) && s.first - s.begin <= indent)
			break;
		take_out(text, &s);
	}
	return true;
}

int mend_tabs(char *text, size_t len)
{
	int count = 0;

	for (size_t begin = 0; begin < len;) {
		struct stretch s = line_at(text, len, begin);

		if (!is_empty(&s) && memchr(text + s.begin, '\t', s.first - s.begin)) {
			take_out(text, &s);
			count++;
		}
		begin = next_line(text, len, s.end);
	}
	return count;
}
