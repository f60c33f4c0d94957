/* SPDX-License-Identifier: MIT */
#include "config/sections.h"

#include <errno.h>
#include <stdio.h>

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
	[KEY_PAIRS] = "texts by number",
};

const char *sections_type(const struct key *k)
{
	return k->type == KEY_LIST && !k->table ? "list of texts" : type_names[k->type];
}

static int collect(struct sections *s, const struct key_table *table, const char *path)
{
	struct section *fresh = &s->list[s->count];
	int r = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].table == table)
			return 0;
	}
	if (s->count == SECTIONS_MAX)
		return -E2BIG;
	fresh->table = table;
	snprintf(fresh->path, sizeof(fresh->path), "%s", path);
	s->count++;
	for (size_t i = 0; i < table->count && r == 0; i++) {
		const struct key *k = &table->keys[i];
		const char *tail = k->type == KEY_MAP ? ".NAME" : k->type == KEY_LIST ? "[]" : "";
		char below[SECTIONS_PATH_CAP];
		int n;

		if (!k->table)
			continue;
		n = snprintf(below, sizeof(below), "%s%s%s%s", path, *path ? "." : "", k->name, tail);
		r = n < 0 || (size_t)n >= sizeof(below) ? -E2BIG : collect(s, k->table, below);
	}
	return r;
}

int sections_collect(struct sections *s, const struct key_table *table)
{
	s->count = 0;
	return collect(s, table, "");
}

const char *sections_path(const struct sections *s, const struct key_table *table)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].table == table)
			return s->list[i].path;
	}
	return "";
}
