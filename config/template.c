/* SPDX-License-Identifier: MIT */
#include "config/template.h"

#include "config/load.h"
#include "config/merge.h"
#include "config/report.h"
#include "config/suggest.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* A template that was looked for: from the map, or read from its file. */
struct template
{
	const char *name;
	const struct key_node *body; /* NULL: a mistake was reported */
	struct template *next;
};

struct templates {
	struct arena *arena;
	struct key_report *report;
	const char *dir;
	const struct key_node *inlined; /* the map `templates`; may be NULL */
	struct template *seen;
	size_t budget;
};

static int wrong(struct templates *t, const struct key_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int wrong(struct templates *t, const struct key_node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_atv(t->report, REPORT_FAULT, at, fmt, ap);
	va_end(ap);
	return TEMPLATE_WRONG;
}

static bool is_file_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/');
}

/* The nearest name in the map and in the directory. */
static int unknown(struct templates *t, const struct key_node *use)
{
	struct suggestion s = suggest_for(use->text);
	struct node_quote q;
	DIR *dir = opendir(t->dir);
	struct dirent *e;

	for (const struct key_node *c = t->inlined ? t->inlined->first : NULL; c; c = c->next)
		suggest_try(&s, c->key);
	while (dir && (e = readdir(dir))) {
		char *dot = strrchr(e->d_name, '.');
		const char *name = dot && strcmp(dot, ".yaml") == 0
					   ? arena_strndup(t->arena, e->d_name, (size_t)(dot - e->d_name))
					   : NULL;

		if (name)
			suggest_try(&s, name);
	}
	if (dir)
		closedir(dir);
	node_quote(&q, use->text);
	if (s.best)
		return wrong(t, use, "there is no template %s; did you mean `%s`?", q.text, s.best);
	return wrong(t, use, "there is no template %s; add it to `templates:`, or as %s/NAME.yaml", q.text, t->dir);
}

static int read_body(const struct key_node **body, struct templates *t, const struct key_node *use)
{
	const struct key_node *inlined = node_find(t->inlined, use->text);
	char *path = arena_printf(t->arena, "%s/%s.yaml", t->dir, use->text);
	bool file = is_file_name(use->text) && path && access(path, F_OK) == 0;
	struct key_node *root;
	int r;

	*body = inlined;
	if (!path)
		return -ENOMEM;
	if (inlined && file)
		return wrong(t, inlined, "this template also stands in %s; keep one of them", path);
	if (inlined && inlined->kind != NODE_MAP && !node_is_null(inlined))
		return wrong(t, inlined, "a template is a map of keys of a device (`points:`, `every:`)");
	if (inlined)
		return 0;
	if (!file)
		return unknown(t, use);
	r = load_file(&root, t->arena, t->report, path);
	*body = root;
	return r == LOAD_WRONG ? 0 : r; /* what is wrong was reported; the rest can be bound */
}

static int find(struct template **out, struct templates *t, const struct key_node *use)
{
	struct template *seen;
	int r = 0;

	for (seen = t->seen; seen; seen = seen->next) {
		if (strcmp(seen->name, use->text) == 0)
			break;
	}
	if (!seen) {
		seen = arena_alloc(t->arena, sizeof(*seen));
		if (!seen)
			return -ENOMEM;
		*seen = (struct template){use->text, NULL, t->seen};
		r = read_body(&seen->body, t, use);
		if (r != 0)
			seen->body = NULL;
		t->seen = seen;
	}
	*out = seen;
	return r;
}

static int apply(struct templates *t, struct key_node *entry)
{
	const struct key_node *use = node_find(entry, "template");
	const struct key_node *nested;
	struct template *found;
	struct key_node *copy;
	int r;

	if (!use || use->kind != NODE_SCALAR || node_is_null(use))
		return 0; /* nothing to do, or for the table to complain of */
	r = find(&found, t, use);
	if (r != 0 || !found->body)
		return r < 0 ? r : TEMPLATE_WRONG;
	nested = node_find(found->body, "template");
	if (nested)
		return wrong(t, nested, "a template cannot use a template; copy the points of the other one into it");
	node_remove(entry, (struct key_node *)use);
	if (found->body->kind != NODE_MAP)
		return 0;
	copy = node_copy(t->arena, found->body, &t->budget);
	if (!copy && t->budget == 0)
		return wrong(t, use, "templates add more than %d values; split the site over several gateways",
			TEMPLATE_MAX_NODES);
	return copy ? merge_under(entry, copy, t->arena) : -ENOMEM;
}

/* An entry that is never named is not checked either: say so. */
static void advise_unused(struct templates *t)
{
	for (const struct key_node *c = t->inlined ? t->inlined->first : NULL; c; c = c->next) {
		struct template *seen = t->seen;

		while (seen && strcmp(seen->name, c->key) != 0)
			seen = seen->next;
		if (!seen)
			report_at(t->report, REPORT_ADVICE, c, "no device uses this template; it is not checked");
	}
}

/* The map of templates, under a misspelled name too: the name is told when the keys are looked at. */
static const struct key_node *templates_of(const struct key_node *root)
{
	const struct key_node *found = node_find(root, "templates");

	for (const struct key_node *c = root->first; c && !found; c = c->next)
		if (c->kind == NODE_MAP && suggest_distance(c->key, "templates", 1) <= 1)
			found = c;
	return found;
}

int template_apply(struct key_node *root, const char *section, const char *path, struct arena *a, struct key_report *r)
{
	struct templates t = {.arena = a,
		.report = r,
		.dir = load_beside(a, path, "templates"),
		.inlined = templates_of(root),
		.budget = TEMPLATE_MAX_NODES};
	struct key_node *entries = (struct key_node *)node_find(root, section);
	int worst = 0;

	if (!t.dir)
		return -ENOMEM;
	if (t.inlined && t.inlined->kind != NODE_MAP) {
		if (!node_is_null(t.inlined))
			worst = wrong(&t, t.inlined, "holds templates by name; write `NAME:` below it, indented");
		t.inlined = NULL;
	}
	for (struct key_node *c = entries && entries->kind == NODE_MAP ? entries->first : NULL; c; c = c->next) {
		int e = apply(&t, c);

		if (e < 0)
			return e;
		worst |= e;
	}
	advise_unused(&t);
	return worst;
}
