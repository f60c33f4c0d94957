/* SPDX-License-Identifier: MIT */
/* `weir import FILE.csv`: the register list of a manual, as a spreadsheet has it, becomes a template on standard output.
 * The first row names the columns: `name`, and any key of a point; `table` and `address` may stand for one of them. */
#include "config/dump.h"
#include "drivers/opts.h"
#include "gateway/commands.h"
#include "gateway/csv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX = 4 * 1024 * 1024, NAME_CAP = 201 };

struct import {
	const char *path;
	struct csv csv;
	const struct key *keys[CSV_CELLS]; /* by column; NULL: one of the three below */
	int name, table, address;          /* columns; -1: there is none */
	size_t columns;
	unsigned mistakes;
};

__attribute__((format(printf, 2, 3))) static void mistake(struct import *m, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: ", m->path, m->csv.line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	m->mistakes++;
}

static const struct key *point_key(const char *name)
{
	for (size_t i = 0; i < point_table.count; i++)
		if (strcasecmp(point_table.keys[i].name, name) == 0)
			return &point_table.keys[i];
	return NULL;
}

static bool read_head(struct import *m)
{
	char *cells[CSV_CELLS];

	m->name = m->table = m->address = -1;
	m->columns = csv_row(&m->csv, cells);
	for (size_t i = 0; i < m->columns; i++) {
		m->keys[i] = point_key(cells[i]);
		if (strcasecmp(cells[i], "name") == 0)
			m->name = (int)i;
		else if (strcasecmp(cells[i], "table") == 0)
			m->table = (int)i;
		else if (strcasecmp(cells[i], "address") == 0)
			m->address = (int)i;
		else if (!m->keys[i] && *cells[i])
			mistake(m,
				"there is no key `%s` of a point; use name, table and address, or the keys of "
				"weir.yaml(5): "
				"ref, holding, type, order, scale, unit, ...",
				cells[i]);
	}
	if (m->name < 0)
		mistake(m, "the first row has no column `name`");
	if ((m->table < 0) != (m->address < 0))
		mistake(m, "the columns `table` (holding, input, coil, discrete) and `address` go together");
	return m->mistakes == 0;
}

/* What a level of a topic cannot hold, and blanks, become dashes. */
static void put_name(char *out, const char *cell)
{
	size_t n = 0;

	for (; *cell && n < NAME_CAP - 1; cell++)
		out[n++] = (char)(strchr("/+# \t\n", *cell) ? '-' : *cell);
	out[n] = '\0';
}

/* A decimal comma, where the cells are not parted by commas. */
static void put_number(const struct import *m, char *cell)
{
	for (char *c = cell; m->csv.separator != ',' && *c; c++)
		if (*c == ',')
			*c = '.';
	if (cell[strspn(cell, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-")] == '\0')
		fputs(cell, stdout);
	else
		dump_text(stdout, cell);
}

/* "0=shut | 1=open" */
static void put_pairs(char *cell)
{
	const char *joint = "";

	putchar('{');
	for (char *pair = strtok(cell, "|;\n"); pair; pair = strtok(NULL, "|;\n")) {
		char *number = pair + strspn(pair, " "), *name = number + strcspn(number, "=:");

		if (*name)
			*name++ = '\0';
		printf("%s%s: ", joint, number);
		dump_text(stdout, csv_trim(name));
		joint = ", ";
	}
	putchar('}');
}

static void put_list(char *cell)
{
	const char *joint = "";

	putchar('[');
	for (char *item = strtok(cell, " |;"); item; item = strtok(NULL, " |;")) {
		fputs(joint, stdout);
		dump_text(stdout, item);
		joint = ", ";
	}
	putchar(']');
}

static void put_value(const struct import *m, const struct key *key, char *cell)
{
	switch (key->type) {
	case KEY_BOOL: fputs(strchr("1yYtTxX", *cell) ? "true" : "false", stdout); break;
	case KEY_INT:
	case KEY_REAL:
	case KEY_TIME: put_number(m, cell); break;
	case KEY_PAIRS: put_pairs(cell); break;
	case KEY_LIST: put_list(cell); break;
	default: dump_text(stdout, cell); break;
	}
}

static void put_point(struct import *m, char **cells, size_t n)
{
	char name[NAME_CAP];
	const char *joint = "";

	put_name(name, (size_t)m->name < n ? cells[m->name] : "");
	if (!*name) {
		mistake(m, "the point has no name");
		return;
	}
	fputs("  ", stdout);
	dump_text(stdout, name);
	fputs(": {", stdout);
	if (m->table >= 0 && (size_t)m->table < n && (size_t)m->address < n && *cells[m->table]) {
		const struct key *table = point_key(cells[m->table]);

		if (!table || !*cells[m->address])
			mistake(m, "`%s` `%s` is no address; use holding, input, coil or discrete and a number from 0",
				cells[m->table], cells[m->address]);
		printf("%s: %s", table ? table->name : "holding", cells[m->address]);
		joint = ", ";
	}
	for (size_t i = 0; i < n && i < m->columns; i++) {
		if (!m->keys[i] || !*cells[i])
			continue;
		printf("%s%s: ", joint, m->keys[i]->name);
		put_value(m, m->keys[i], cells[i]);
		joint = ", ";
	}
	puts("}");
}

static char *read_file(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	char *text = f ? malloc(TEXT_MAX + 1) : NULL;
	size_t n = text ? fread(text, 1, TEXT_MAX + 1, f) : 0;
	bool fine = text && !ferror(f) && n <= TEXT_MAX && !memchr(text, 0, n);

	if (!fine)
		fprintf(stderr, "weir import: %s cannot be read as text of at most 4 MiB\n", path);
	if (f && f != stdin)
		fclose(f);
	if (!fine) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

int cmd_import(int argc, char **argv)
{
	struct import m = {.path = argc == 2 ? argv[1] : NULL};
	char *text, *cells[CSV_CELLS];
	size_t n;

	if (argc != 2) {
		fputs("use it as: weir import FILE.csv > templates/NAME.yaml\n", stderr);
		return 2;
	}
	text = read_file(m.path);
	if (!text)
		return 1;
	csv_init(&m.csv, text);
	if (read_head(&m)) {
		printf("# From %s; `weir check` says what of it cannot be.\npoints:\n", m.path);
		while ((n = csv_row(&m.csv, cells)) > 0)
			put_point(&m, cells, n);
	}
	free(text);
	return m.mistakes == 0 && fflush(stdout) == 0 ? 0 : 1;
}
