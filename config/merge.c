/* SPDX-License-Identifier: MIT */
#include "config/merge.h"

#include "config/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is known of a map's keys before anything is added to it: looked up by bisection, so that joining two large
 * maps is not quadratic. */
struct index {
	const struct key_node **sorted;
	size_t count;
};

static int by_name(const void *name, const void *node)
{
	return strcmp(name, (*(const struct key_node *const *)node)->key);
}

static struct key_node *look_up(const struct index *ix, const char *key)
{
	const struct key_node **found =
		ix->count ? bsearch(key, ix->sorted, ix->count, sizeof(*ix->sorted), by_name) : NULL;

	return found ? (struct key_node *)*found : NULL;
}

static int index_map(struct index *ix, const struct key_node *map, struct arena *a)
{
	*ix = (struct index){node_sorted(a, map), map->count};
	return ix->sorted ? 0 : -ENOMEM;
}

/* n takes over value and children of from, and stays where it is. */
static void become(struct key_node *n, struct key_node *from)
{
	n->kind = from->kind;
	n->quoted = from->quoted;
	n->mark = from->mark;
	n->key_mark = from->key_mark;
	n->text = from->text;
	n->len = from->len;
	n->first = from->first;
	n->last = from->last;
	n->count = from->count;
	for (struct key_node *c = n->first; c; c = c->next)
		c->parent = n;
}

/* --- side by side -------------------------------------------------------------------------------------------- */

static int given_twice(const struct key_node *first, const struct key_node *second, struct key_report *r)
{
	struct key_mark mark = node_mark(first);

	report_at(r, REPORT_FAULT, second, "this key is given twice, first in %s, line %d; keep one of them",
		mark.file ? mark.file : "", mark.line);
	return MERGE_WRONG;
}

int merge_join(struct key_node *into, struct key_node *from_take, struct arena *a, struct key_report *r)
{
	struct key_node *c, *next;
	struct index ix;
	int wrong = 0;
	int e = index_map(&ix, into, a);

	for (c = from_take->first; c && e >= 0; c = next) {
		struct key_node *twin = look_up(&ix, c->key);

		next = c->next;
		e = 0;
		if (!twin) {
			c->next = NULL;
			node_append(into, c);
		} else if (twin->kind == NODE_MAP && c->kind == NODE_MAP) {
			e = merge_join(twin, c, a, r);
		} else if (node_is_null(twin) && c->kind == NODE_MAP) {
			become(twin, c);
		} else if (!(twin->kind == NODE_MAP && node_is_null(c))) {
			e = given_twice(twin, c, r);
		}
		wrong |= e > 0;
	}
	if (e < 0)
		return e;
	return wrong ? MERGE_WRONG : 0;
}

/* --- within one map ------------------------------------------------------------------------------------------ */

/* Leaves out the children that are marked absent. */
static void sift(struct key_node *map)
{
	struct key_node *c = map->first, *next;

	map->first = map->last = NULL;
	map->count = 0;
	for (; c; c = next) {
		next = c->next;
		c->next = NULL;
		if (!c->absent)
			node_append(map, c);
	}
}

/* Of two that are told, the first goes on with what is in both: what refers to it would be told for nothing otherwise. */
static void take_in(struct key_node *first, struct key_node *twin)
{
	enum { LONGEST = 1000 }; /* looking each up among the others is quadratic */
	struct key_node *next;

	if (twin->kind != NODE_MAP || twin->count > LONGEST || first->count > LONGEST)
		return;
	if (node_is_null(first)) {
		become(first, twin);
		return;
	}
	for (struct key_node *c = first->kind == NODE_MAP ? twin->first : NULL; c; c = next) {
		next = c->next;
		if (node_find(first, c->key))
			continue;
		c->next = NULL;
		node_append(first, c);
	}
}

int merge_twins(struct key_node *map, struct arena *a, struct key_report *r)
{
	struct key_node *first;
	bool wrong = false;
	struct index ix;

	if (map->count < 2)
		return 0;
	if (index_map(&ix, map, a) < 0)
		return -ENOMEM;
	first = (struct key_node *)ix.sorted[0];
	for (size_t i = 1; i < ix.count; i++) {
		struct key_node *n = (struct key_node *)ix.sorted[i];

		if (strcmp(first->key, n->key) != 0) {
			first = n;
			continue;
		}
		report_at(r, REPORT_FAULT, n, "this key is given twice, first in line %d; keep one of them",
			first->key_mark.line);
		take_in(first, n);
		n->absent = true;
		wrong = true;
	}
	if (wrong)
		sift(map);
	return wrong ? MERGE_WRONG : 0;
}

/* --- one below the other ------------------------------------------------------------------------------------- */

static int lay_over(struct key_node *base, struct key_node *over, struct arena *a)
{
	struct key_node *c, *next;
	struct index ix;
	int r = index_map(&ix, base, a);

	for (c = over->first; c && r == 0; c = next) {
		struct key_node *twin = look_up(&ix, c->key);

		next = c->next;
		if (!twin) {
			c->next = NULL;
			node_append(base, c);
		} else if (twin->kind == NODE_MAP && c->kind == NODE_MAP) {
			r = lay_over(twin, c, a);
			twin->mark = c->mark;
			twin->key_mark = c->key_mark;
		} else if (!(twin->kind == NODE_MAP && node_is_null(c))) {
			become(twin, c);
		}
	}
	return r;
}

int merge_under(struct key_node *over, struct key_node *base_take, struct arena *a)
{
	struct key_mark mark = over->mark, key_mark = over->key_mark;
	int r = lay_over(base_take, over, a);

	if (r < 0)
		return r;
	become(over, base_take);
	over->mark = mark;
	over->key_mark = key_mark;
	return 0;
}
