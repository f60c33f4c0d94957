/* SPDX-License-Identifier: MIT */
#include "config/report.h"

#include "config/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	enum report_kind kind;
	struct key_mark mark;
	char *where, *text;
	size_t same; /* further places with this sentence at this mark */
	size_t place;
};

struct key_report {
	struct entry *entries;
	size_t count, cap;
	size_t total[2];
};

int report_new(struct key_report **out)
{
	struct key_report *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*out = r;
	return 0;
}

void report_free(struct key_report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++) {
		free(r->entries[i].where);
		free(r->entries[i].text);
	}
	free(r->entries);
	free(r);
}

static bool room(struct key_report *r)
{
	size_t cap = r->cap ? r->cap * 2 : 16;
	struct entry *more;

	if (r->count < r->cap)
		return true;
	if (r->count >= REPORT_CAP)
		return false;
	more = realloc(r->entries, cap * sizeof(*more));
	if (!more)
		return false;
	r->entries = more;
	r->cap = cap;
	return true;
}

/* What cannot be kept for want of memory is still counted: a configuration with a mistake never passes. */
void report_addv(struct key_report *r, enum report_kind kind, struct key_mark mark, const char *where, const char *fmt,
	va_list ap)
{
	struct entry e = {.kind = kind, .mark = mark, .place = r->count};

	r->total[kind]++;
	if (!room(r))
		return;
	e.where = strdup(where);
	if (!e.where)
		return;
	if (vasprintf(&e.text, fmt, ap) < 0) {
		free(e.where);
		return;
	}
	r->entries[r->count++] = e;
}

void report_add(
	struct key_report *r, enum report_kind kind, struct key_mark mark, const char *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_addv(r, kind, mark, where, fmt, ap);
	va_end(ap);
}

void report_atv(struct key_report *r, enum report_kind kind, const struct key_node *at, const char *fmt, va_list ap)
{
	bool has_value = at->kind == NODE_SCALAR && !node_is_null(at);
	char where[256];

	report_addv(r, kind, has_value ? at->mark : node_mark(at), node_path(where, sizeof(where), at), fmt, ap);
}

void report_at(struct key_report *r, enum report_kind kind, const struct key_node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_atv(r, kind, at, fmt, ap);
	va_end(ap);
}

struct report_mark report_mark(const struct key_report *r)
{
	return (struct report_mark){r->count, {r->total[0], r->total[1]}};
}

void report_forget(struct key_report *r, struct report_mark since)
{
	while (r->count > since.count) {
		r->count--;
		free(r->entries[r->count].where);
		free(r->entries[r->count].text);
	}
	memcpy(r->total, since.total, sizeof(r->total));
}

size_t report_count(const struct key_report *r, enum report_kind kind)
{
	return r->total[kind];
}

bool report_full(const struct key_report *r)
{
	return r->count >= REPORT_CAP;
}

/* --- telling them -------------------------------------------------------------------------------------------- */

static int by_mark(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->mark.file ? x->mark.file : "", y->mark.file ? y->mark.file : "");

	if (order == 0)
		order = (x->mark.line > y->mark.line) - (x->mark.line < y->mark.line);
	if (order == 0)
		order = (x->mark.column > y->mark.column) - (x->mark.column < y->mark.column);
	if (order == 0)
		order = (int)x->kind - (int)y->kind;
	if (order == 0)
		order = strcmp(x->text, y->text);
	return order ? order : (x->place > y->place) - (x->place < y->place);
}

static bool same_sentence(const struct entry *x, const struct entry *y)
{
	return x->mark.file && y->mark.file && strcmp(x->mark.file, y->mark.file) == 0 &&
	       x->mark.line == y->mark.line && x->mark.column == y->mark.column && x->kind == y->kind &&
	       strcmp(x->text, y->text) == 0;
}

/* Neighbours after sorting; their number moves to the first. */
static void fold(struct key_report *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (kept && same_sentence(&r->entries[kept - 1], &r->entries[i])) {
			r->entries[kept - 1].same += 1 + r->entries[i].same;
			free(r->entries[i].where);
			free(r->entries[i].text);
		} else {
			r->entries[kept++] = r->entries[i];
		}
	}
	r->count = kept;
}

/* Sentences quote what strangers wrote, and end up on a terminal and in the journal. */
static void put_safe(const char *s, FILE *out)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s, next = (unsigned char)s[1];

		if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			fprintf(out, "\\u%04x", (unsigned char)*++s);
		else
			fputc(c, out);
	}
}

static void print_entry(const struct entry *e, FILE *out)
{
	if (e->mark.file)
		put_safe(e->mark.file, out);
	if (e->mark.file && e->mark.line)
		fprintf(out, ":%d:%d", e->mark.line, e->mark.column);
	fprintf(out, "%s%s", e->mark.file ? ": " : "", e->kind == REPORT_ADVICE ? "advice: " : "");
	if (*e->where) {
		put_safe(e->where, out);
		fprintf(out, ": ");
	}
	put_safe(e->text, out);
	if (e->same)
		fprintf(out, " (and at %zu more place%s)", e->same, e->same == 1 ? "" : "s");
	fputc('\n', out);
}

static void print_left(size_t left, const char *one, const char *many, FILE *out)
{
	if (left)
		fprintf(out, "... and %zu more %s\n", left, left == 1 ? one : many);
}

/* Advice waits until there are no mistakes: whoever has to find one wants to see nothing else. */
int report_print(struct key_report *r, FILE *out)
{
	enum report_kind kind = r->total[REPORT_FAULT] ? REPORT_FAULT : REPORT_ADVICE;
	size_t told = 0, places = 0;

	if (r->count)
		qsort(r->entries, r->count, sizeof(*r->entries), by_mark);
	fold(r);
	for (size_t i = 0; i < r->count && told < REPORT_SHOWN; i++) {
		if (r->entries[i].kind != kind)
			continue;
		told++;
		places += 1 + r->entries[i].same;
		print_entry(&r->entries[i], out);
	}
	if (kind == REPORT_FAULT)
		print_left(r->total[kind] - places, "mistake", "mistakes", out);
	else
		print_left(r->total[kind] - places, "piece of advice", "pieces of advice", out);
	return ferror(out) ? -EIO : 0;
}
