/* SPDX-License-Identifier: MIT */
#include "config/reference.h"

#include "config/scalar.h"

#include <errno.h>
#include <string.h>

enum { MAX_SECTIONS = 64, PATH_CAP = 128 };

/* A table, and where it is first met: "devices.NAME.points.NAME". */
struct section {
	const struct key_table *table;
	char path[PATH_CAP];
};

struct book {
	struct section sections[MAX_SECTIONS];
	size_t count;
};

static const char *const type_names[] = {
	[KEY_BOOL] = "true or false",
	[KEY_INT] = "whole number",
	[KEY_REAL] = "number",
	[KEY_TEXT] = "text",
	[KEY_TIME] = "time",
	[KEY_SIZE] = "size",
	[KEY_ENUM] = "choice",
	[KEY_FLAGS] = "list of choices",
	[KEY_TOPIC] = "topic",
	[KEY_FILTER] = "topic filter",
	[KEY_TABLE] = "map",
	[KEY_LIST] = "list",
	[KEY_MAP] = "map by name",
	[KEY_TREE] = "map by name",
	[KEY_PATH] = "file",
};

/* Depth first, so that a section stands near the one that leads to it. */
static bool collect(struct book *b, const struct key_table *table, const char *path)
{
	struct section *s = &b->sections[b->count];
	bool fits = true;

	for (size_t i = 0; i < b->count; i++) {
		if (b->sections[i].table == table)
			return true;
	}
	if (b->count == MAX_SECTIONS)
		return false;
	s->table = table;
	snprintf(s->path, sizeof(s->path), "%s", path);
	b->count++;
	for (size_t i = 0; i < table->count && fits; i++) {
		const struct key *k = &table->keys[i];
		const char *tail = k->type == KEY_MAP ? ".NAME" : k->type == KEY_LIST ? "[]" : "";
		char below[PATH_CAP];
		int n;

		if (!k->table)
			continue;
		n = snprintf(below, sizeof(below), "%s%s%s%s", path, *path ? "." : "", k->name, tail);
		fits = n > 0 && (size_t)n < sizeof(below) && collect(b, k->table, below);
	}
	return fits;
}

/* Markdown's table cells end at a bar. */
static void put_cell(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static const char *section_path(const struct book *b, const struct key_table *table)
{
	for (size_t i = 0; i < b->count; i++) {
		if (b->sections[i].table == table)
			return b->sections[i].path;
	}
	return "";
}

/* GitHub's rule: lower case, only letters, digits, `-` and `_`, spaces become `-`. */
static void put_anchor(FILE *out, const char *path)
{
	fputc('#', out);
	for (; *path; path++) {
		char c = *path;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
			fputc(c, out);
	}
}

static void put_type(FILE *out, const struct book *b, const struct key *k)
{
	if (!k->table) {
		fputs(k->type == KEY_LIST ? "list of texts" : type_names[k->type], out);
		return;
	}
	fprintf(out, "[%s](", type_names[k->type]);
	put_anchor(out, section_path(b, k->table));
	fputc(')', out);
}

static void put_default(FILE *out, const struct key *k)
{
	if (k->required)
		fputs("**required**", out);
	else if (k->dflt) {
		fputc('`', out);
		put_cell(out, *k->dflt ? k->dflt : "\"\"");
		fputc('`', out);
	}
}

static void put_meaning(FILE *out, const struct key *k)
{
	char range[80];

	put_cell(out, k->help ? k->help : "");
	scalar_range(range, sizeof(range), k);
	if (*range)
		fprintf(out, " (%s)", range);
	if (k->applies_to) {
		fputs("; only for ", out);
		put_cell(out, k->applies_to);
	}
	if (!k->choices)
		return;
	for (const struct key_choice *c = k->choices; c->name; c++) {
		fprintf(out, "<br>`%s`", c->name);
		if (c->help) {
			fputs(": ", out);
			put_cell(out, c->help);
		}
	}
}

static void put_section(FILE *out, const struct book *b, const struct section *s)
{
	fprintf(out, "\n## %s\n\n", *s->path ? s->path : "The file");
	if (s->table->help)
		fprintf(out, "%s\n\n", s->table->help);
	fputs("| key | value | default | meaning |\n| --- | --- | --- | --- |\n", out);
	for (size_t i = 0; i < s->table->count; i++) {
		const struct key *k = &s->table->keys[i];

		fprintf(out, "| `%s` | ", k->name);
		put_type(out, b, k);
		fputs(" | ", out);
		put_default(out, k);
		fputs(" | ", out);
		put_meaning(out, k);
		fputs(" |\n", out);
	}
}

int reference_print(FILE *out, const struct key_table *table, const char *title, const char *intro)
{
	struct book b = {.count = 0};

	if (!collect(&b, table, ""))
		return -E2BIG;
	fprintf(out, "# %s\n\n%s", title, intro);
	for (size_t i = 0; i < b.count; i++)
		put_section(out, &b, &b.sections[i]);
	return ferror(out) ? -EIO : 0;
}
