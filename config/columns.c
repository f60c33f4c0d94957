/* SPDX-License-Identifier: MIT */
#include "config/columns.h"

#include <limits.h>
#include <string.h>

struct sheet {
	const char *text;
	size_t len;
};

/* A line with something in it. */
struct row {
	int line, indent;
	size_t begin, first, end;
};

/* --- walking -------------------------------------------------------------------------------------------------- */

static bool look(const struct sheet *s, struct row *r)
{
	r->first = r->begin;
	while (r->first < s->len && s->text[r->first] == ' ')
		r->first++;
	r->indent = (int)(r->first - r->begin);
	for (r->end = r->first; r->end < s->len && s->text[r->end] != '\n';)
		r->end++;
	return r->end > r->first && s->text[r->first] != '#' && s->text[r->first] != '\r';
}

static bool below(const struct sheet *s, struct row *r)
{
	do {
		if (r->end >= s->len)
			return false;
		r->begin = r->end + 1;
		r->line++;
	} while (!look(s, r));
	return true;
}

static bool above(const struct sheet *s, struct row *r)
{
	do {
		if (r->begin == 0)
			return false;
		for (r->begin--; r->begin > 0 && s->text[r->begin - 1] != '\n';)
			r->begin--;
		r->line--;
	} while (!look(s, r));
	return true;
}

static bool first_row(const struct sheet *s, struct row *r)
{
	*r = (struct row){.line = 1};
	return look(s, r) || below(s, r);
}

static bool row_of(const struct sheet *s, struct row *r, int line)
{
	bool there = first_row(s, r);

	while (there && r->line < line)
		there = below(s, r);
	return there && r->line == line;
}

/* --- counting ------------------------------------------------------------------------------------------------- */

/* Lines in one column with r, from it on in the direction of `step`, until one that is further to the left. */
static int count(const struct sheet *s, struct row r, bool (*step)(const struct sheet *s, struct row *r))
{
	int indent = r.indent, n = 0;

	do
		n += r.indent == indent;
	while (step(s, &r) && r.indent >= indent);
	return n;
}

static int count_in_file(const struct sheet *s, int indent)
{
	struct row r;
	int n = 0;

	for (bool there = first_row(s, &r); there; there = below(s, &r))
		n += r.indent == indent;
	return n;
}

/* --- moving --------------------------------------------------------------------------------------------------- */

static bool is_bare_key(const struct sheet *s, const struct row *r)
{
	size_t end = r->end;

	while (end > r->first && (s->text[end - 1] == ' ' || s->text[end - 1] == '\r'))
		end--;
	return end > r->first && s->text[end - 1] == ':';
}

/* Where the keys of a list entry begin, behind its `- `; of any other line 0. */
static int entry_keys(const struct sheet *s, const struct row *r)
{
	size_t i = r->first;

	if (s->text[i] != '-')
		return 0;
	for (i++; i < r->end && s->text[i] == ' ';)
		i++;
	return (int)(i - r->begin);
}

/* r stands by itself in its column: what belongs to it did not move with it. */
static bool is_alone(const struct sheet *s, struct row r)
{
	int keys = entry_keys(s, &r), indent = r.indent;
	bool bare = is_bare_key(s, &r);

	if (!below(s, &r))
		return false;
	return keys > 0 ? r.indent > indent - 2 && r.indent != keys && s->text[r.first] != '-'
			: bare && r.indent == indent;
}

/* r, with the neighbours below that were moved with it, and with what belongs to them where that would not stay below
 * them otherwise. */
static void move(struct mend *out, const struct sheet *s, struct row r, int to)
{
	struct row next = r;
	bool entry = entry_keys(s, &r) > 0, alone = is_alone(s, r), there = below(s, &next);
	int inner = there && next.indent > r.indent && (entry || is_bare_key(s, &r)) ? next.indent : INT_MAX;

	*out = (struct mend){.first = r.line, .last = r.line, .by = to - r.indent, .only = r.indent};
	if (inner <= to || entry) /* the keys of an entry stand behind its `- ` */
		out->only = MEND_ALL;
	for (; there && !alone && (next.indent == r.indent || next.indent >= inner); there = below(s, &next))
		out->last = next.line;
}

static void move_one(struct mend *out, const struct row *r, int to)
{
	*out = (struct mend){.first = r->line, .last = r->line, .by = to - r->indent, .only = r->indent};
}

/* --- the four cases ------------------------------------------------------------------------------------------- */

static bool in_value_the_upper_is_wrong(const struct sheet *s, const struct row *upper, const struct row *lower)
{
	struct row before = *upper, after = *lower, next = *lower;
	bool has_before = above(s, &before), has_after, has_next = below(s, &next);
	int up, down;

	if (has_next && next.indent == lower->indent && is_bare_key(s, lower))
		return false;
	do
		has_after = below(s, &after);
	while (has_after && after.indent > lower->indent);
	if (has_before && before.indent == lower->indent)
		return !has_after || after.indent != upper->indent || is_bare_key(s, &after);
	if (has_after && after.indent == upper->indent)
		return false; /* the lower one alone stands out */
	if (upper->indent == 0)
		return has_before && before.indent == 0 && is_bare_key(s, &before); /* whose first key it was to be */
	up = count(s, *upper, above);
	down = count(s, *lower, below);
	return up != down ? up < down : count_in_file(s, upper->indent) < count_in_file(s, lower->indent);
}

bool columns_of_value(struct mend *out, const char *text, size_t len, int line)
{
	const struct sheet s = {text, len};
	struct row lower, upper;

	if (!row_of(&s, &lower, line))
		return false;
	upper = lower;
	if (!above(&s, &upper) || upper.indent >= lower.indent || text[upper.first] == '-' || is_bare_key(&s, &upper))
		return false;
	if (in_value_the_upper_is_wrong(&s, &upper, &lower))
		move_one(out, &upper, lower.indent);
	else
		move(out, &s, lower, upper.indent);
	return true;
}

/* The last key of the block above r, and the leftmost of what stands below that key: INT_MAX is nothing. */
static bool last_key(const struct sheet *s, struct row r, int block, struct row *key, struct row *leftmost)
{
	leftmost->indent = INT_MAX;
	while (above(s, &r) && r.indent >= block) {
		*key = r;
		if (r.indent == block)
			return true;
		if (r.indent <= leftmost->indent)
			*leftmost = r; /* the first of them, as the last one that is met */
	}
	return false;
}

static bool rarer(const struct sheet *s, int count_a, int indent_a, int count_b, int indent_b)
{
	return count_a != count_b ? count_a < count_b : count_in_file(s, indent_a) < count_in_file(s, indent_b);
}

/* Where a line between two columns belongs: to the nearer. In the midst of them to the left one where nothing else of the
 * file stands, and its own keys begin as far to the right as the others' do there. */
static int nearer(const struct sheet *s, struct row odd, int left, int right)
{
	int to_left = odd.indent - left, to_right = right - odd.indent, at = odd.indent;

	if (to_left != to_right)
		return to_left < to_right ? left : right;
	if (!is_bare_key(s, &odd) || count_in_file(s, at) > 1)
		return right;
	return below(s, &odd) && odd.indent > at && odd.indent <= right ? left : right;
}

/* A key that slid to the left in the midst of those that odd is one of. */
static bool slid_out(const struct sheet *s, struct row key, const struct row *odd)
{
	while (above(s, &key) && key.indent > odd->indent)
		;
	return key.indent == odd->indent;
}

bool columns_of_key(struct mend *out, const char *text, size_t len, int line, int block)
{
	const struct sheet s = {text, len};
	struct row odd, key, inner;
	int odds, inners, keys;

	if (!row_of(&s, &odd, line) || !last_key(&s, odd, block - 1, &key, &inner) || odd.indent <= key.indent ||
		odd.indent >= inner.indent)
		return false;
	if (inner.indent == INT_MAX) {
		if (slid_out(&s, key, &odd))
			move_one(out, &key, odd.indent);
		else
			move(out, &s, odd, key.indent);
		return true;
	}
	odds = count(&s, odd, below);
	inners = count(&s, inner, below);
	keys = count(&s, key, above);
	if (key.indent > 0 && rarer(&s, keys, key.indent, odds, odd.indent) &&
		rarer(&s, keys, key.indent, inners, inner.indent)) {
		move_one(out, &key, odd.indent);
	} else if (rarer(&s, inners, inner.indent, odds, odd.indent)) {
		*out = (struct mend){.first = inner.line, .last = odd.line - 1, .only = inner.indent};
		out->by = odd.indent - inner.indent;
	} else {
		move(out, &s, odd, nearer(&s, odd, key.indent, inner.indent));
	}
	return true;
}

bool columns_of_entry(struct mend *out, const char *text, size_t len, int line, int list)
{
	const struct sheet s = {text, len};
	struct row odd, last;

	if (!row_of(&s, &odd, line) || text[odd.first] != '-' || odd.indent == list - 1)
		return false;
	last = odd;
	while (above(&s, &last) && last.indent > list - 1)
		;
	if (last.indent == list - 1 && !is_alone(&s, odd) &&
		rarer(&s, count(&s, last, above), last.indent, count(&s, odd, below), odd.indent))
		*out = (struct mend){
			.first = last.line, .last = line - 1, .by = odd.indent - last.indent, .only = MEND_ALL};
	else
		move(out, &s, odd, list - 1);
	return true;
}

bool columns_of_file(struct mend *out, const char *text, size_t len, int line)
{
	const struct sheet s = {text, len};
	struct row r;

	if (!first_row(&s, &r) || r.indent == 0 || r.line >= line)
		return false;
	*out = (struct mend){.first = r.line, .last = line - 1, .by = -r.indent, .only = r.indent};
	return true;
}
