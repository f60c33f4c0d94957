/* SPDX-License-Identifier: MIT */
#include "gateway/crosscheck.h"

#include "config/node.h"
#include "config/suggest.h"
#include "gateway/addresscheck.h"
#include "gateway/busplan.h"
#include "gateway/filecheck.h"
#include "gateway/overlapcheck.h"
#include "gateway/topiccheck.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_NAME_CAP = 200 };

/* --- names --------------------------------------------------------------------------------------------------- */

static void check_name(const struct key_head *head, struct key_report *report)
{
	struct node_quote q;

	if (strpbrk(head->name, "/+#"))
		key_fault(report, head, NULL,
			"the name %s has a `/`, `+` or `#`, which mean something in a topic; use `-`",
			node_quote(&q, head->name));
	else if (!head->name[0] || head->name[0] == '$')
		key_fault(report, head, NULL, "the name is empty or begins with `$`; use letters, digits and `-`");
	else if (strpbrk(head->name, " \t\n"))
		key_advice(report, head, NULL,
			"the name has a space, which is awkward in topics and on command lines; use `-`");
}

static void check_names(const struct key_list *list, size_t size, struct key_report *report)
{
	for (size_t i = 0; i < list->count; i++)
		check_name((const struct key_head *)((const char *)list->items + i * size), report);
}

static void check_all_names(const struct gateway_opts *o, struct key_report *report)
{
	const struct device_opts *devices = o->devices.items;

	check_names(&o->lines, sizeof(struct line_opts), report);
	check_names(&o->devices, sizeof(struct device_opts), report);
	check_names(&o->upstreams, sizeof(struct bridge_opts), report);
	for (size_t i = 0; i < o->devices.count; i++)
		check_names(&devices[i].points, sizeof(struct point_opts), report);
}

/* --- devices to lines ---------------------------------------------------------------------------------------- */

static int by_line_name(const void *a, const void *b)
{
	return strcmp(
		(*(const struct line_opts *const *)a)->head.name, (*(const struct line_opts *const *)b)->head.name);
}

static int by_own_name(const void *name, const void *line)
{
	return strcmp(name, (*(const struct line_opts *const *)line)->head.name);
}

/* Lines in order of their names, to be found by bisection: a site may have thousands. */
static struct line_opts **sort_lines(const struct gateway_opts *o, struct arena *a)
{
	struct line_opts **sorted = arena_alloc(a, (o->lines.count + 1) * sizeof(*sorted));
	struct line_opts *lines = o->lines.items;

	for (size_t i = 0; sorted && i < o->lines.count; i++)
		sorted[i] = &lines[i];
	if (sorted)
		qsort(sorted, o->lines.count, sizeof(*sorted), by_line_name);
	return sorted;
}

static void unknown_line(const struct gateway_opts *o, const struct device_opts *d, struct key_report *report)
{
	struct suggestion s = suggest_for(d->line);
	const struct line_opts *lines = o->lines.items;
	struct node_quote q;

	for (size_t i = 0; i < o->lines.count; i++)
		suggest_try(&s, lines[i].head.name);
	node_quote(&q, d->line);
	if (o->lines.count == 0)
		key_fault(report, d, "line", "there is no line %s, nor any other; add it to `lines:`", q.text);
	else if (s.best)
		key_fault(report, d, "line", "there is no line %s; did you mean `%s`?", q.text, s.best);
	else
		key_fault(report, d, "line",
			"there is no line %s; add it to `lines:`, or use one of them, such as `%s`", q.text,
			lines[0].head.name);
}

/* The file that keeps what the devices of a line taught, beside the queue. A name that makes no file name has none. */
static int name_memory(const struct gateway_opts *o, struct line_opts *l, struct arena *a)
{
	char name[MEMORY_NAME_CAP];
	size_t at = 0;

	if (!o->store.dir)
		return 0;
	for (const char *c = l->head.name; *c; c++) {
		if (at + 4 > sizeof(name))
			return 0;
		if (isalnum((unsigned char)*c) || *c == '-' || *c == '_')
			name[at++] = *c;
		else
			at += (size_t)snprintf(name + at, sizeof(name) - at, "%%%02x", (unsigned char)*c);
	}
	name[at] = 0;
	l->memory = arena_printf(a, "%s/learned-%s", o->store.dir, name);
	return l->memory ? 0 : -ENOMEM;
}

static int join(struct gateway_opts *o, struct arena *a, struct key_report *report)
{
	struct line_opts **sorted = sort_lines(o, a);
	struct device_opts *devices = o->devices.items;
	struct line_opts *lines = o->lines.items;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < o->devices.count; i++) {
		struct line_opts **found;

		if (!devices[i].line)
			continue;
		found = bsearch(devices[i].line, sorted, o->lines.count, sizeof(*sorted), by_own_name);
		if (!found) {
			unknown_line(o, &devices[i], report);
			continue;
		}
		devices[i].line_opts = *found;
		(*found)->device_count++;
	}
	for (size_t i = 0; i < o->lines.count; i++) {
		lines[i].devices = arena_alloc(a, (lines[i].device_count + 1) * sizeof(*lines[i].devices));
		if (!lines[i].devices || name_memory(o, &lines[i], a) < 0)
			return -ENOMEM;
		lines[i].device_count = 0;
	}
	for (size_t i = 0; i < o->devices.count; i++) {
		struct line_opts *l = (struct line_opts *)devices[i].line_opts;

		if (l)
			l->devices[l->device_count++] = &devices[i];
	}
	return 0;
}

/* --- lines --------------------------------------------------------------------------------------------------- */

static bool has_units(const struct line_opts *l)
{
	return line_is_modbus(l);
}

/* Blocks of one unit that are told apart by their base may be devices of their own. */
static void check_units(const struct line_opts *l, struct key_report *report)
{
	const struct device_opts *first[256] = {NULL};
	char at[KEY_PLACE];

	for (size_t i = 0; i < l->device_count; i++) {
		const struct device_opts *d = l->devices[i];

		if (d->head.wrong || d->unit < 0 || d->unit > 255)
			continue;
		if (first[d->unit] && first[d->unit]->base == d->base)
			key_fault(report, d, key_given(d, "unit") ? "unit" : NULL,
				"unit %lld of this line is `%s` already (%s); give each device its own unit, or join "
				"their points",
				(long long)d->unit, first[d->unit]->head.name, key_place(at, first[d->unit]));
		else
			first[d->unit] = d;
	}
}

static bool all_fine(const struct line_opts *l)
{
	for (size_t i = 0; i < l->device_count; i++) {
		if (l->devices[i]->head.wrong)
			return false;
	}
	return !l->head.wrong;
}

static void check_lines(const struct gateway_opts *o, struct key_report *report)
{
	struct line_opts *lines = o->lines.items;

	for (size_t i = 0; i < o->lines.count; i++) {
		struct line_opts *l = &lines[i];

		if (!l->head.wrong && has_units(l))
			check_units(l, report);
		if (all_fine(l))
			line_check(l, report);
	}
}

static const char *endpoint(const struct line_opts *l)
{
	return l->port ? l->port : l->address;
}

static int by_endpoint(const void *a, const void *b)
{
	const struct line_opts *x = *(const struct line_opts *const *)a, *y = *(const struct line_opts *const *)b;
	int order = strcmp(endpoint(x), endpoint(y));

	return order ? order : (x > y) - (x < y); /* of one array: in the order of the file */
}

/* A serial port has one owner; two connections to one address work, but rarely mean it. */
static int check_endpoints(const struct gateway_opts *o, struct arena *a, struct key_report *report)
{
	const struct line_opts **sorted = arena_alloc(a, (o->lines.count + 1) * sizeof(*sorted));
	const struct line_opts *lines = o->lines.items;
	size_t n = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < o->lines.count; i++) {
		if (!lines[i].head.wrong && endpoint(&lines[i]))
			sorted[n++] = &lines[i];
	}
	qsort(sorted, n, sizeof(*sorted), by_endpoint);
	for (size_t i = 1; i < n; i++) {
		char at[KEY_PLACE];

		if (strcmp(endpoint(sorted[i - 1]), endpoint(sorted[i])) != 0)
			continue;
		key_place(at, sorted[i - 1]);
		if (sorted[i]->port)
			key_fault(report, sorted[i], "port",
				"this port is that of line `%s` already (%s); put all of its devices on one line",
				sorted[i - 1]->head.name, at);
		else
			key_advice(report, sorted[i], "address",
				"this is the address of line `%s`, too (%s); its devices could share one connection",
				sorted[i - 1]->head.name, at);
	}
	return 0;
}

/* Manuals number registers in two ways, 40101 and 100 for the same one; both are read, under names of their own. */
static void check_address(
	const struct point_opts *p, const char *key, int64_t address, int64_t base, struct key_report *report)
{
	if (key_given(p, key) && address > base && address < base + 10000)
		key_advice(report, p, key,
			"%lld is counted from 0 here; if it is the number of a manual that counts from %lld, write "
			"`ref: %lld`",
			(long long)address, (long long)base + 1, (long long)address);
}

static void check_points(const struct device_opts *d, struct key_report *report)
{
	const struct point_opts *points = d->points.items;

	for (size_t i = 0; i < d->points.count; i++) {
		if (points[i].head.wrong)
			continue;
		check_address(&points[i], "holding", points[i].holding, 40000, report);
		check_address(&points[i], "input", points[i].input, 30000, report);
		check_address(&points[i], "discrete", points[i].discrete, 10000, report);
	}
}

static int check_devices(const struct gateway_opts *o, struct arena *a, struct key_report *report)
{
	const struct device_opts *devices = o->devices.items;
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->devices.count; i++) {
		check_points(&devices[i], report);
		r = overlapcheck(&devices[i], a, report);
		if (!devices[i].head.wrong && devices[i].points.count == 0)
			key_advice(report, &devices[i], NULL, "the device has no points; nothing of it is read");
	}
	return r;
}

int crosscheck(struct gateway_opts *o, struct arena *a, struct key_report *report)
{
	int r = join(o, a, report);

	if (r < 0)
		return r;
	check_all_names(o, report);
	check_lines(o, report);
	r = check_devices(o, a, report);
	addresscheck(o, report);
	filecheck(o, report);
	if (r == 0)
		r = check_endpoints(o, a, report);
	if (r == 0)
		r = busplan_check(o, report);
	return r < 0 ? r : topiccheck(o, a, report);
}
