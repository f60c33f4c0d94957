/* SPDX-License-Identifier: MIT */
#include "config/manual.h"

#include "config/scalar.h"
#include "config/sections.h"

#include <errno.h>

/* Text of ours as roff: what stands in backticks is bold, and nothing is taken for a command. */
static void put_text(FILE *out, const char *s)
{
	const char *begin = s;
	bool bold = false;

	for (; *s; s++) {
		bool line_begins = s == begin || s[-1] == '\n';

		switch (*s) {
		case '`':
			bold = !bold;
			fputs(bold ? "\\fB" : "\\fR", out);
			break;
		case '\\': fputs("\\e", out); break;
		case '-': fputs("\\-", out); break;
		case '.':
		case '\'': fprintf(out, line_begins ? "\\&%c" : "%c", *s); break;
		default: fputc(*s, out); break;
		}
	}
	if (bold)
		fputs("\\fR", out);
}

/* "choice, default info", "time, 100ms .. 10m, default 10s" */
static void put_kind(FILE *out, const struct key *k)
{
	char range[80];

	fputs(" (", out);
	fputs(sections_type(k), out);
	if (*scalar_range(range, sizeof(range), k)) {
		fputs(", ", out);
		put_text(out, range);
	}
	if (k->required)
		fputs(", required", out);
	if (k->dflt) {
		fputs(", default ", out);
		put_text(out, *k->dflt ? k->dflt : "\"\"");
	}
	fputs(")\n", out);
}

static void put_choices(FILE *out, const struct key_choice *c)
{
	fputs(".RS\n", out);
	for (; c->name; c++) {
		fputs(".TP\n\\fB", out);
		put_text(out, c->name);
		fputs("\\fR\n", out);
		put_text(out, c->help ? c->help : "");
		fputc('\n', out);
	}
	fputs(".RE\n", out);
}

static bool any_help(const struct key_choice *c)
{
	for (; c->name; c++) {
		if (c->help)
			return true;
	}
	return false;
}

static void put_key(FILE *out, const struct sections *all, const struct key *k)
{
	char list[400];

	fputs(".TP\n\\fB", out);
	put_text(out, k->name);
	fputs("\\fR", out);
	put_kind(out, k);
	put_text(out, k->help);
	if (k->applies_to) {
		fputs("; only for ", out);
		put_text(out, k->applies_to);
	}
	if (k->table) {
		fputs("; see \\fB", out);
		put_text(out, sections_path(all, k->table));
		fputs("\\fR", out);
	}
	if (k->choices && !any_help(k->choices)) {
		fputs(": ", out);
		put_text(out, scalar_choices(list, sizeof(list), k));
	}
	fputs(".\n", out);
	if (k->choices && any_help(k->choices))
		put_choices(out, k->choices);
}

static void put_section(FILE *out, const struct sections *all, const struct section *s)
{
	fputs(".SH ", out);
	put_text(out, *s->path ? s->path : "THE FILE");
	fputc('\n', out);
	if (s->table->help)
		put_text(out, s->table->help);
	fputc('\n', out);
	for (size_t i = 0; i < s->table->count; i++)
		put_key(out, all, &s->table->keys[i]);
}

int manual_print(FILE *out, const struct key_table *table, const char *head, const char *tail)
{
	struct sections all;
	int r = sections_collect(&all, table);

	if (r < 0)
		return r;
	fputs(head, out);
	for (size_t i = 0; i < all.count; i++)
		put_section(out, &all, &all.list[i]);
	fputs(tail, out);
	return ferror(out) ? -EIO : 0;
}
