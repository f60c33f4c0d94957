/* SPDX-License-Identifier: MIT */
#include "config/copies.h"

#include "config/report.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNITS = 256 };

struct copies {
	struct arena *arena;
	struct key_report *report;
	size_t made, budget;
};

static int wrong(struct copies *c, const struct key_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int wrong(struct copies *c, const struct key_node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_atv(c->report, REPORT_FAULT, at, fmt, ap);
	va_end(ap);
	return COPIES_WRONG;
}

/* "7" or "1-15" off the front of *at. */
static bool range(const char **at, bool *units)
{
	char *end;
	long first, last;

	if (!isdigit((unsigned char)**at))
		return false;
	first = last = strtol(*at, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		last = strtol(end + 1, &end, 10);
	*at = end;
	if (first > last || last >= UNITS)
		return false;
	for (long u = first; u <= last; u++) {
		if (units[u])
			return false;
		units[u] = true;
	}
	return true;
}

/* "1-5, 9" */
static bool ranges(const char *text, bool *units)
{
	for (;;) {
		text += strspn(text, " ");
		if (!range(&text, units))
			return false;
		text += strspn(text, " ");
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}

static int read_units(struct copies *c, const struct key_node *n, bool *units)
{
	const struct key_node *item = n->kind == NODE_LIST ? n->first : n;
	struct node_quote q;

	if (n->kind == NODE_MAP || !item)
		return wrong(c, n, "is a list of units; use 1-10, or [1-5, 9]");
	for (; item; item = n->kind == NODE_LIST ? item->next : NULL)
		if (item->kind != NODE_SCALAR || !ranges(item->text, units))
			return wrong(c, item,
				"%s is not a list of units from 0 to 255, each once; use 1-10, or [1-5, 9]",
				node_quote(&q, item->kind == NODE_SCALAR ? item->text : ""));
	return 0;
}

static int add_unit(struct copies *c, struct key_node *copy, const struct key_node *at, unsigned unit)
{
	struct key_node *n = node_new(c->arena, NODE_SCALAR, at->mark);

	if (!n)
		return -ENOMEM;
	n->key = "unit";
	n->key_mark = at->key_mark;
	n->text = arena_printf(c->arena, "%u", unit);
	if (!n->text)
		return -ENOMEM;
	n->len = strlen(n->text);
	node_append(copy, n);
	return 0;
}

static int add_copy(
	struct copies *c, struct key_node *into, struct key_node *entry, const struct key_node *list, unsigned unit)
{
	struct key_node *copy;

	if (++c->made > COPIES_MAX)
		return wrong(
			c, list, "units make more than %d devices; split the site over several gateways", COPIES_MAX);
	copy = node_copy(c->arena, entry, &c->budget);
	if (!copy)
		return c->budget == 0
			       ? wrong(c, list, "units make more than %d values; split the site over several gateways",
					 COPIES_MAX_NODES)
			       : -ENOMEM;
	copy->key = arena_printf(c->arena, "%s-%u", entry->key, unit);
	if (!copy->key)
		return -ENOMEM;
	node_append(into, copy);
	return add_unit(c, copy, list, unit);
}

static int expand(struct copies *c, struct key_node *into, struct key_node *entry)
{
	const struct key_node *list = node_find(entry, "units"), *unit = node_find(entry, "unit");
	bool units[UNITS] = {false};
	int r;

	if (!list) {
		node_append(into, entry);
		return 0;
	}
	r = unit ? wrong(c, list, "`unit` is given too; use one of them") : read_units(c, list, units);
	node_remove(entry, (struct key_node *)list);
	if (r != 0) {
		node_append(into, entry); /* the rest of it is checked all the same */
		return r;
	}
	for (unsigned u = 0; r == 0 && u < UNITS; u++)
		if (units[u])
			r = add_copy(c, into, entry, list, u);
	return r;
}

/* A made name that somebody wrote, too. */
static int check_names(struct copies *c, const struct key_node *entries)
{
	const struct key_node **sorted = node_sorted(c->arena, entries);
	int worst = 0;

	for (size_t i = 1; sorted && i < entries->count; i++)
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			worst = wrong(c, sorted[i], "there are two devices of this name, one of them made by `units`");
	return sorted ? worst : -ENOMEM;
}

int copies_expand(struct key_node *root, const char *section, struct arena *a, struct key_report *r)
{
	struct copies c = {.arena = a, .report = r, .budget = COPIES_MAX_NODES};
	struct key_node *entries = (struct key_node *)node_find(root, section);
	struct key_node *entry, *next;
	int worst = 0;

	if (!entries || entries->kind != NODE_MAP)
		return 0;
	entry = entries->first;
	entries->first = entries->last = NULL;
	entries->count = 0;
	for (; entry; entry = next) {
		int e;

		next = entry->next;
		entry->next = NULL;
		e = expand(&c, entries, entry);
		if (e < 0)
			return e;
		worst |= e;
	}
	if (c.made > 0) {
		int e = check_names(&c, entries);

		worst = e < 0 ? e : worst | e;
	}
	return worst;
}
