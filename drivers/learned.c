/* SPDX-License-Identifier: MIT */
#include "drivers/learned.h"

#include <inttypes.h>
#include <string.h>

/* --- lessons --------------------------------------------------------------------------------------------------- */

bool lesson_counts(const struct lesson *l)
{
	return l->taught >= LEARNED_ENOUGH;
}

static struct lesson *find(struct learned *l, const struct lesson *like)
{
	for (size_t i = 0; i < l->count; i++) {
		struct lesson *k = &l->lessons[i];

		if (k->kind == like->kind && k->source == like->source &&
			(k->kind == LESSON_MOST || (k->first == like->first && k->last == like->last)))
			return k;
	}
	return NULL;
}

/* True unless that was known. */
static bool teach(struct learned *l, struct lesson lesson)
{
	struct lesson *known = find(l, &lesson);

	if (!known && l->count == LEARNED_LESSONS)
		return false;
	if (!known) {
		l->lessons[l->count] = lesson;
		known = &l->lessons[l->count++];
	} else if (known->kind == LESSON_MOST && lesson.last < known->last) {
		known->last = lesson.last;
	} else if (lesson_counts(known)) {
		return false;
	}
	known->taught++;
	return true;
}

static bool forget(struct learned *l, struct lesson like)
{
	struct lesson *known = find(l, &like);
	bool counted = known && lesson_counts(known);

	if (known)
		*known = l->lessons[--l->count];
	return counted;
}

int lesson_text(char *out, size_t cap, const struct lesson *l)
{
	const char *source = source_name(l->source);

	switch (l->kind) {
	case LESSON_SPAN: return snprintf(out, cap, "%s %u-%u cannot be read along", source, l->first, l->last);
	case LESSON_EDGE: return snprintf(out, cap, "%s cannot be read across %u", source, l->first);
	default: return snprintf(out, cap, "%s: at most %u at once", source, l->last);
	}
}

/* --- from refusals --------------------------------------------------------------------------------------------- */

static bool is_part(const struct learned_cut *c, enum point_source source, uint16_t first, uint16_t last)
{
	return c->source == source &&
	       ((first == c->first && last == c->left_last) || (first == c->right_first && last == c->last));
}

static void drop_cut(struct learned *l, size_t at)
{
	l->cut_count--;
	memmove(&l->cuts[at], &l->cuts[at + 1], (l->cut_count - at) * sizeof(l->cuts[0]));
}

/* A part that is refused has the reason in itself: the cut around it tells nothing. */
static void drop_around(struct learned *l, enum point_source source, uint16_t first, uint16_t last)
{
	for (size_t i = l->cut_count; i-- > 0;)
		if (is_part(&l->cuts[i], source, first, last))
			drop_cut(l, i);
}

void learned_cut(struct learned *l, const struct learned_cut *cut)
{
	drop_around(l, cut->source, cut->first, cut->last);
	if (l->cut_count == LEARNED_CUTS)
		drop_cut(l, 0);
	l->cuts[l->cut_count++] = *cut;
}

static bool conclude(struct learned *l, const struct learned_cut *c)
{
	uint16_t left = (uint16_t)(c->left_last - c->first + 1), right = (uint16_t)(c->last - c->right_first + 1);
	struct lesson lesson = {.source = c->source};

	if (c->right_first > c->left_last + 1) {
		lesson.kind = LESSON_SPAN;
		lesson.first = (uint16_t)(c->left_last + 1);
		lesson.last = (uint16_t)(c->right_first - 1);
	} else if (c->exception == 2 && c->right_first <= c->left_last) {
		return false; /* values that overlap, which may be read apart only: no border says so */
	} else if (c->exception == 2) {
		lesson.kind = LESSON_EDGE;
		lesson.first = lesson.last = c->right_first;
	} else {
		lesson.kind = LESSON_MOST;
		lesson.last = left > right ? left : right;
	}
	return teach(l, lesson);
}

bool learned_answered(struct learned *l, enum point_source source, uint16_t first, uint16_t last)
{
	bool changed = forget(l, (struct lesson){LESSON_SPAN, source, first, last, 0});

	for (size_t i = l->cut_count; i-- > 0;) {
		struct learned_cut *c = &l->cuts[i];

		if (!is_part(c, source, first, last))
			continue;
		if (first == c->first)
			c->left_fine = true;
		else
			c->right_fine = true;
		if (c->left_fine && c->right_fine) {
			changed = conclude(l, c) || changed;
			drop_cut(l, i);
		}
	}
	return changed;
}

bool learned_refused(struct learned *l, enum point_source source, uint16_t first, uint16_t last)
{
	struct lesson lesson = {LESSON_SPAN, source, first, last, 0};

	/* It is asked again alone, and needs no other plan for its second lesson. */
	drop_around(l, source, first, last);
	return teach(l, lesson) && lesson_counts(find(l, &lesson));
}

/* --- as a file ------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = {[LESSON_SPAN] = "span", [LESSON_EDGE] = "edge", [LESSON_MOST] = "most"};

int learned_write(FILE *out, const struct line_opts *l, const struct learned *list)
{
	for (size_t d = 0; d < l->device_count; d++) {
		const struct device_opts *device = l->devices[d];

		if (list[d].takes_us > 0)
			fprintf(out, "takes %" PRId64 " us %" PRId64 " %s\n", list[d].takes_us, device->unit,
				device->head.name);
		for (size_t i = 0; i < list[d].count; i++) {
			const struct lesson *k = &list[d].lessons[i];

			if (lesson_counts(k))
				fprintf(out, "%s %s %u %u %" PRId64 " %s\n", kinds[k->kind], source_name(k->source),
					k->first, k->last, device->unit, device->head.name);
		}
	}
	return ferror(out) ? -1 : 0;
}

static bool kind_of(const char *word, enum lesson_kind *out)
{
	for (int k = 0; k < LESSON_KINDS; k++)
		if (strcmp(kinds[k], word) == 0) {
			*out = (enum lesson_kind)k;
			return true;
		}
	return false;
}

static bool source_of(const char *word, enum point_source *out)
{
	for (int s = SOURCE_COIL; s <= SOURCE_HOLDING; s++)
		if (strcmp(source_name((enum point_source)s), word) == 0) {
			*out = (enum point_source)s;
			return true;
		}
	return false;
}

static struct learned *device_of(const struct line_opts *l, struct learned *list, int64_t unit, const char *name)
{
	for (size_t d = 0; d < l->device_count; d++)
		if (strcmp(l->devices[d]->head.name, name) == 0 && l->devices[d]->unit == unit)
			return &list[d];
	return NULL;
}

static bool read_lesson(const char *line, const struct line_opts *l, struct learned *list)
{
	char kind[8], source[16];
	unsigned first, last;
	int64_t unit;
	int name = 0;
	struct lesson lesson = {.taught = LEARNED_ENOUGH};
	struct learned *of;

	if (sscanf(line, "%7s %15s %5u %5u %4" SCNd64 " %n", kind, source, &first, &last, &unit, &name) != 5 || !name ||
		!kind_of(kind, &lesson.kind) || !source_of(source, &lesson.source) || first > UINT16_MAX ||
		last > UINT16_MAX || first > last || last == 0)
		return false;
	lesson.first = (uint16_t)first;
	lesson.last = (uint16_t)last;
	of = device_of(l, list, unit, line + name);
	if (!of || of->count == LEARNED_LESSONS || find(of, &lesson))
		return false;
	of->lessons[of->count++] = lesson;
	return true;
}

static bool read_takes(const char *line, const struct line_opts *l, struct learned *list)
{
	int64_t us, unit;
	int name = 0;
	struct learned *of;

	if (sscanf(line, "takes %8" SCNd64 " us %4" SCNd64 " %n", &us, &unit, &name) != 2 || !name || us <= 0)
		return false;
	of = device_of(l, list, unit, line + name);
	if (of)
		of->takes_us = us;
	return of != NULL;
}

size_t learned_read(const char *text, size_t len, const struct line_opts *l, struct learned *list)
{
	size_t passed = 0;

	for (const char *at = text, *end = text + len, *eol; at < end; at = eol + 1) {
		char line[512];

		eol = memchr(at, '\n', (size_t)(end - at));
		if (!eol || (size_t)(eol - at) >= sizeof(line))
			return passed + 1; /* cut short, or nothing of ours */
		memcpy(line, at, (size_t)(eol - at));
		line[eol - at] = 0;
		passed += !read_lesson(line, l, list) && !read_takes(line, l, list);
	}
	return passed;
}
