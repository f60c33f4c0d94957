/* SPDX-License-Identifier: MIT */
#include "config/reference.h"

#include "config/scalar.h"
#include "config/sections.h"

#include <errno.h>

/* Markdown's table cells end at a bar. */
static void put_cell(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
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

static void put_type(FILE *out, const struct sections *all, const struct key *k)
{
	if (!k->table) {
		fputs(sections_type(k), out);
		return;
	}
	fprintf(out, "[%s](", sections_type(k));
	put_anchor(out, sections_path(all, k->table));
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

static void put_section(FILE *out, const struct sections *all, const struct section *s)
{
	fprintf(out, "\n## %s\n\n", *s->path ? s->path : "The file");
	if (s->table->help)
		fprintf(out, "%s\n\n", s->table->help);
	fputs("| key | value | default | meaning |\n| --- | --- | --- | --- |\n", out);
	for (size_t i = 0; i < s->table->count; i++) {
		const struct key *k = &s->table->keys[i];

		fprintf(out, "| `%s` | ", k->name);
		put_type(out, all, k);
		fputs(" | ", out);
		put_default(out, k);
		fputs(" | ", out);
		put_meaning(out, k);
		fputs(" |\n", out);
	}
}

int reference_print(FILE *out, const struct key_table *table, const char *title, const char *intro)
{
	struct sections all;
	int r = sections_collect(&all, table);

	if (r < 0)
		return r;
	fprintf(out, "# %s\n\n%s", title, intro);
	for (size_t i = 0; i < all.count; i++)
		put_section(out, &all, &all.list[i]);
	return ferror(out) ? -EIO : 0;
}
