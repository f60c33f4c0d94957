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

size_t mend_room(const struct mend *m, size_t len)
{
	if (m->with)
		return len + MEND_MAX_WITH;
	if (m->by == 0 || m->by > MEND_MAX_MOVE)
		return 0;
	return len + (m->by > 0 ? (size_t)(m->last - m->first + 1) * (size_t)m->by : 0);
}

static bool moves(const struct mend *m, const struct stretch *s, int line)
{
	return line >= m->first && line <= m->last && (m->only == MEND_ALL || s->first - s->begin == (size_t)m->only);
}

static size_t replace(char *out, const struct mend *m, const char *text, size_t len)
{
	size_t with = strlen(m->with), rest = m->at + m->cut;

	memcpy(out, text, m->at);
	memcpy(out + m->at, m->with, with);
	memcpy(out + m->at + with, text + rest, len - rest);
	return len - m->cut + with;
}

/* One line with its line break; empty ones stay as they are. */
static size_t move(char *out, int by, const char *text, const struct stretch *s, size_t next)
{
	size_t from = s->begin, done = 0;

	if (by < 0 && !is_empty(s))
		from += s->first - s->begin < (size_t)-by ? s->first - s->begin : (size_t)-by;
	for (; by > 0 && !is_empty(s); by--)
		out[done++] = ' ';
	memcpy(out + done, text + from, next - from);
	return done + next - from;
}

size_t mend_apply(char *out, const struct mend *m, const char *text, size_t len)
{
	size_t done = 0, next;
	int line = 1;

	if (m->with)
		return replace(out, m, text, len);
	for (size_t begin = 0; begin < len; begin = next, line++) {
		struct stretch s = line_at(text, len, begin);

		next = next_line(text, len, s.end);
		done += move(out + done, moves(m, &s, line) ? m->by : 0, text, &s, next);
	}
	return done;
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

/* --- tabs ----------------------------------------------------------------------------------------------------- */

enum { WIDEST_TAB = 8 };

static bool has_tab(const char *text, const struct stretch *s)
{
	return !is_empty(s) && memchr(text + s->begin, '\t', s->first - s->begin);
}

int mend_count_tabs(const char *text, size_t len, size_t *room)
{
	int lines = 0;

	*room = len;
	for (size_t begin = 0; begin < len;) {
		struct stretch s = line_at(text, len, begin);

		lines += has_tab(text, &s);
		if (has_tab(text, &s))
			*room += (s.first - s.begin) * WIDEST_TAB;
		begin = next_line(text, len, s.end);
	}
	return lines;
}

/* Who indents by tabs in one place mostly means a step of the others. */
static size_t step_of(const char *text, size_t len)
{
	size_t least = WIDEST_TAB + 1;

	for (size_t begin = 0; begin < len;) {
		struct stretch s = line_at(text, len, begin);
		size_t indent = s.first - s.begin;

		if (!is_empty(&s) && indent > 0 && indent < least && !has_tab(text, &s))
			least = indent;
		begin = next_line(text, len, s.end);
	}
	return least <= WIDEST_TAB ? least : 2;
}

static size_t with_tabs_of(const char *text, const struct stretch *s, size_t step)
{
	size_t wide = 0;

	for (size_t i = s->begin; i < s->first; i++)
		wide += text[i] == '\t' ? step : 1;
	return wide;
}

/* How far the next line with something in it is indented. */
static size_t below(const char *text, size_t len, size_t end)
{
	struct stretch s = {end, end, end};

	while (is_empty(&s) && s.end < len)
		s = line_at(text, len, next_line(text, len, s.end));
	return s.first - s.begin;
}

/* Tabs are as wide as makes the line go with one of its neighbours, or else a step: what stands below a key without a value
 * belongs to it. */
static size_t indent_of(const char *text, size_t len, const struct stretch *s, size_t step, size_t before)
{
	const size_t widths[] = {step, 4, WIDEST_TAB};
	size_t after = below(text, len, s->end);
	bool bare = text[s->end - 1] == ':';

	if (bare && with_tabs_of(text, s, step) < after)
		return with_tabs_of(text, s, step);
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		size_t wide = with_tabs_of(text, s, widths[i]);

		if (wide == before || (wide == after && !bare))
			return wide;
	}
	return with_tabs_of(text, s, step);
}

size_t mend_tabs(char *out, const char *text, size_t len)
{
	size_t step = step_of(text, len), done = 0, next, indent = 0;

	for (size_t begin = 0; begin < len; begin = next) {
		struct stretch s = line_at(text, len, begin);

		next = next_line(text, len, s.end);
		if (has_tab(text, &s)) {
			indent = indent_of(text, len, &s, step, indent);
			memset(out + done, ' ', indent);
			done += indent;
			begin = s.first;
		} else if (!is_empty(&s)) {
			indent = s.first - s.begin;
		}
		memcpy(out + done, text + begin, next - begin);
		done += next - begin;
	}
	return done;
}
