/* SPDX-License-Identifier: MIT */
#include "config/bind.h"

#include "config/load.h"
#include "config/report.h"
#include "config/scalar.h"
#include "config/stray.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct binder {
	struct arena *arena;
	struct key_report *report;
	const struct key_table *root;
	bool broken; /* the tree lacks parts: nothing that is missing is told */
	bool no_memory;
};

static bool bind_table(struct binder *b, const struct key_table *table, const struct key_node *n, void *item);

static bool fault(struct binder *b, const struct key_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static bool fault(struct binder *b, const struct key_node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_atv(b->report, REPORT_FAULT, at, fmt, ap);
	va_end(ap);
	return false;
}

static void *get(struct binder *b, size_t size)
{
	void *p = arena_alloc(b->arena, size);

	if (!p)
		b->no_memory = true;
	return p;
}

/* --- one value ----------------------------------------------------------------------------------------------- */

static bool bind_scalar(struct binder *b, const struct key *key, const struct key_node *n, void *member)
{
	struct scalar_fault f;

	if (n->kind == NODE_LIST)
		return fault(b, n, "is one value, not a list; write it without `[ ]` or `- `");
	if (n->kind == NODE_MAP)
		return fault(b, n, "is one value, not a map of keys; if it begins with `{`, put it in quotes");
	return scalar_parse(member, key, n, &f) || fault(b, n, "%s", f.text);
}

/* In the file that names it, so that a folder with a configuration can be moved. */
static bool bind_path(struct binder *b, const struct key *key, const struct key_node *n, void *member)
{
	static const char scheme[] = "credential:", usual[] = "/run/credentials/weir.service";
	const char *dir = getenv("CREDENTIALS_DIRECTORY"), *path, *full;

	if (!bind_scalar(b, key, n, member))
		return false;
	path = *(const char **)member;
	if (strncmp(path, scheme, sizeof(scheme) - 1) == 0)
		full = arena_printf(b->arena, "%s/%s", dir ? dir : usual, path + sizeof(scheme) - 1);
	else if (path[0] == '/' || path[0] == '\0' || !n->mark.file)
		return true;
	else
		full = load_beside(b->arena, n->mark.file, path);
	if (!full)
		b->no_memory = true;
	*(const char **)member = full;
	return full != NULL;
}

static bool bind_flag(struct binder *b, const struct key *key, const struct key_node *n, unsigned *flags)
{
	struct scalar_fault f;
	int value = 0;

	if (n->kind != NODE_SCALAR)
		return fault(b, n, "is a word, not a list or map");
	if (node_is_null(n))
		return fault(b, n, "is empty; give a value, or remove it");
	if (!scalar_choice(&value, key, n, &f))
		return fault(b, n, "%s", f.text);
	*flags |= (unsigned)value;
	return true;
}

static bool bind_flags(struct binder *b, const struct key *key, const struct key_node *n, void *member)
{
	unsigned *flags = member;
	bool fine = true;

	*flags = 0;
	if (n->kind != NODE_LIST)
		return bind_flag(b, key, n, flags);
	for (const struct key_node *c = n->first; c; c = c->next)
		fine &= bind_flag(b, key, c, flags);
	return fine;
}

/* --- several values ------------------------------------------------------------------------------------------ */

static bool check_count(struct binder *b, const struct key *key, const struct key_node *n, size_t count)
{
	const char *what = key->table ? key->table->name : "value";

	if (key->max <= 0 || b->broken || ((int64_t)count >= key->min && (int64_t)count <= key->max))
		return true;
	if (key->min == key->max)
		return fault(b, n, "holds %zu; give exactly %lld (%s)", count, (long long)key->min, what);
	return fault(b, n, "holds %zu; give %lld to %lld (%s)", count, (long long)key->min, (long long)key->max, what);
}

static bool bind_texts(struct binder *b, const struct key *key, const struct key_node *n, struct key_list *list)
{
	static const struct key text = {.type = KEY_TEXT, .min = 1, .max = INT64_MAX};
	bool single = n->kind == NODE_SCALAR;
	const char **items = get(b, (single ? 1 : n->count + 1) * sizeof(*items));
	bool fine = items != NULL;

	if (n->kind == NODE_MAP)
		return fault(b, n, "is a list of texts, not a map of keys; write `[one, two]`");
	*list = (struct key_list){items, single ? 1 : n->count};
	if (single)
		return fine && bind_scalar(b, &text, n, &items[0]);
	for (const struct key_node *c = n->first; items && c; c = c->next)
		fine &= bind_scalar(b, &text, c, &items[c->index]);
	return fine && check_count(b, key, n, n->count);
}

/* Names go into logs, topics of the gateway and file names. */
static bool check_name(struct binder *b, const struct key_node *n)
{
	enum { LONGEST_NAME = 200 };

	if (strlen(n->key) > LONGEST_NAME)
		return fault(b, n, "the name is longer than %d bytes; shorten it", LONGEST_NAME);
	return true;
}

/* The children of a list or a map, one struct each. */
static bool bind_items(struct binder *b, const struct key *key, const struct key_node *n, struct key_list *list)
{
	char *items = get(b, (n->count + 1) * key->table->size);
	bool fine = items != NULL;
	const struct key_node *stray;
	ptrdiff_t astray = -1; /* the last of those that were told as a whole to be in the wrong place */

	*list = (struct key_list){items, items ? n->count : 0};
	for (const struct key_node *c = n->first; items && c; c = c->next) {
		void *item = items + c->index * key->table->size;

		*(struct key_head *)item = (struct key_head){c->key, node_mark(c), c, true};
		if ((ptrdiff_t)c->index <= astray)
			continue;
		stray = c->key ? stray_name(b->report, b->root, key->table, c) : NULL;
		astray = stray ? (ptrdiff_t)stray->index : astray;
		fine &= !stray && (!c->key || check_name(b, c)) && bind_table(b, key->table, c, item);
	}
	return fine && check_count(b, key, n, n->count);
}

static bool bind_list(struct binder *b, const struct key *key, const struct key_node *n, void *member)
{
	if (!key->table)
		return (n->kind != NODE_LIST && node_is_null(n))
			       ? fault(b, n, "is empty; give a value, or remove the key")
			       : bind_texts(b, key, n, member);
	if (node_is_null(n))
		return check_count(b, key, n, 0);
	if (n->kind == NODE_LIST)
		return bind_items(b, key, n, member);
	return fault(b, n, "is a list (%s); begin each entry with `- `", key->table->name);
}

static bool bind_map(struct binder *b, const struct key *key, const struct key_node *n, void *member)
{
	const char *what = key->table->name;
	struct node_quote q;

	if (node_is_null(n))
		return check_count(b, key, n, 0);
	if (n->kind == NODE_LIST)
		return fault(b, n, "is a map, not a list: give each %s a name, `name:`, in place of the `- `", what);
	if (n->kind == NODE_SCALAR)
		return fault(b, n, "is a map (%s by name), not %s; write `name:` below it, indented", what,
			node_quote(&q, n->text));
	return bind_items(b, key, n, member);
}

static bool bind_pair(struct binder *b, const struct key_node *n, struct key_pair *out)
{
	static const struct key number = {.type = KEY_INT, .min = INT64_MIN, .max = INT64_MAX};
	static const struct key text = {.type = KEY_TEXT, .min = 1, .max = 200};
	const struct key_node name = {.kind = NODE_SCALAR,
		.mark = n->key_mark,
		.key = n->key,
		.parent = n->parent,
		.text = n->key,
		.len = strlen(n->key)};

	struct scalar_fault ignored;
	struct node_quote q;
	bool fine = scalar_parse(&out->number, &number, &name, &ignored) ||
		    fault(b, n, "%s is not a whole number; write the number, and its name behind it: `{0: closed}`",
			    node_quote(&q, n->key));

	fine &= bind_scalar(b, &text, n, &out->text);
	out->text = fine ? out->text : NULL;
	return fine;
}

/* `0x10` and `16` are two keys to YAML. */
static bool check_once(struct binder *b, const struct key_node *n, const struct key_pair *items)
{
	for (size_t i = 0; i < n->index; i++)
		if (items[i].text && items[i].number == items[n->index].number)
			return fault(b, n, "%lld has the name `%s` already; give one", (long long)items[i].number,
				items[i].text);
	return true;
}

static bool bind_pairs(struct binder *b, const struct key *key, const struct key_node *n, void *member)
{
	struct key_pair *items;
	bool fine = true;

	if (n->kind != NODE_MAP)
		return fault(b, n, "is a map of numbers and texts; write `{0: closed, 1: open}`");
	if (!check_count(b, key, n, n->count))
		return false;
	items = get(b, (n->count + 1) * sizeof(*items));
	for (const struct key_node *c = n->first; items && c; c = c->next)
		fine &= bind_pair(b, c, &items[c->index]) && check_once(b, c, items);
	if (items && fine)
		*(struct key_list *)member = (struct key_list){items, n->count};
	return items && fine;
}

static bool bind_nested(struct binder *b, const struct key *key, const struct key_node *n, void *member)
{
	return bind_table(b, key->table, n, member);
}

static bool bind_any(struct binder *b, const struct key *key, const struct key_node *n, void *member)
{
	(void)b;
	(void)key;
	*(const struct key_node **)member = n;
	return true;
}

typedef bool bind_fn(struct binder *b, const struct key *key, const struct key_node *n, void *member);
static bind_fn *const binders[] = {
	[KEY_BOOL] = bind_scalar,
	[KEY_INT] = bind_scalar,
	[KEY_REAL] = bind_scalar,
	[KEY_TEXT] = bind_scalar,
	[KEY_TIME] = bind_scalar,
	[KEY_SIZE] = bind_scalar,
	[KEY_ENUM] = bind_scalar,
	[KEY_FLAGS] = bind_flags,
	[KEY_TOPIC] = bind_scalar,
	[KEY_FILTER] = bind_scalar,
	[KEY_TABLE] = bind_nested,
	[KEY_LIST] = bind_list,
	[KEY_MAP] = bind_map,
	[KEY_TREE] = bind_any,
	[KEY_PATH] = bind_path,
	[KEY_PAIRS] = bind_pairs,
};

/* --- what nobody wrote --------------------------------------------------------------------------------------- */

static bool absent_table(struct binder *b, const struct key *key, const struct key_node *parent, void *member)
{
	struct key_node *n = node_new(b->arena, NODE_MAP, (struct key_mark){NULL, 0, 0});

	if (!n) {
		b->no_memory = true;
		return false;
	}
	n->absent = true;
	n->key = key->name;
	n->parent = (struct key_node *)parent; /* one way: the parent does not list it */
	return bind_table(b, key->table, n, member);
}

/* A list of defaults stands in the table as "one, two". */
static bool default_list(struct binder *b, const struct key *key, void *member)
{
	struct key_node *list = node_new(b->arena, NODE_LIST, (struct key_mark){NULL, 0, 0});
	const char *s = key->dflt;

	while (list && *s) {
		size_t len = strcspn(s, ",");
		struct key_node *n = node_new(b->arena, NODE_SCALAR, list->mark);

		if (!n)
			break;
		n->text = arena_strndup(b->arena, s, len);
		if (!n->text)
			break;
		n->len = len;
		node_append(list, n);
		s += len;
		s += strspn(s, ", ");
	}
	if (!list || *s) {
		b->no_memory = true;
		return false;
	}
	return binders[key->type](b, key, list, member);
}

static bool bind_default(struct binder *b, const struct key *key, const struct key_node *parent, void *member)
{
	struct key_node n = {.kind = NODE_SCALAR,
		.text = key->dflt,
		.len = key->dflt ? strlen(key->dflt) : 0,
		.quoted = key->type == KEY_TEXT || key->type == KEY_PATH};

	if (key->type == KEY_TABLE)
		return absent_table(b, key, parent, member);
	if (!key->dflt)
		return true;
	if (key->type == KEY_FLAGS || key->type == KEY_LIST)
		return default_list(b, key, member);
	return bind_scalar(b, key, &n, member);
}

/* `Site:` was told as a misspelled `site:` already. */
static bool missing(struct binder *b, const struct key_table *table, const struct key *key, const struct key_node *n)
{
	char list[200] = "", where[256];

	if (stray_stand_in(table, n, key))
		return false;
	if (key->type == KEY_ENUM)
		scalar_choices(list, sizeof(list), key);
	report_add(b->report, REPORT_FAULT, node_mark(n), node_path(where, sizeof(where), n),
		"`%s` is missing; add it: %s%s%s%s", key->name, key->help ? key->help : "it must be there",
		*list ? " (" : "", list, *list ? ")" : "");
	return false;
}

/* --- a table ------------------------------------------------------------------------------------------------- */

/* Where the value is wrong the default takes its place, so that checks of other entries find nothing half-set. */
static bool bind_value(
	struct binder *b, const struct key *key, const struct key_node *value, const struct key_node *n, void *member)
{
	bool nested = key->type == KEY_TABLE || key->type == KEY_LIST || key->type == KEY_MAP;

	if (binders[key->type](b, key, value, member))
		return true;
	if (!nested)
		bind_default(b, key, n, member);
	return false;
}

/* `lins:` was told. What it holds is read as what was meant: who refers to it would be told for nothing otherwise. */
static const struct key_node *misspelled(const struct key_table *table, const struct key_node *n, const struct key *key)
{
	const struct key_node *c = stray_stand_in(table, n, key);

	return c && (c->kind == NODE_MAP || c->kind == NODE_LIST) ? c : NULL;
}

/* sure: the keys that applies() looks at were fine, so that its answer can be told the user. */
static bool bind_key(struct binder *b, const struct key_table *table, const struct key *key, const struct key_node *n,
	void *item, bool sure)
{
	const struct key_node *value = node_find(n, key->name);
	bool applies = !key->applies || !sure || b->broken || key->applies(item);
	void *member = (char *)item + key->offset;

	if (!value && (key->type == KEY_MAP || key->type == KEY_LIST))
		value = misspelled(table, n, key);
	if (value && !value->bad && applies)
		return bind_value(b, key, value, n, member);
	if (!bind_default(b, key, n, member))
		return false;
	if (!value)
		return !(key->required && applies && sure && !n->absent && !b->broken) || missing(b, table, key, n);
	if (!value->bad) /* else it was reported when it was read */
		fault(b, value, "is only for %s; remove it here", key->applies_to ? key->applies_to : "something else");
	return false;
}

static bool bind_keys(struct binder *b, const struct key_table *table, const struct key_node *n, void *item)
{
	bool fine = stray_check_keys(b->report, b->root, table, n);
	bool sure = fine; /* what is misspelled may be what others depend on */

	for (size_t i = 0; i < table->count; i++) {
		if (!table->keys[i].applies)
			sure &= bind_key(b, table, &table->keys[i], n, item, true);
	}
	for (size_t i = 0; i < table->count; i++) {
		if (table->keys[i].applies)
			fine &= bind_key(b, table, &table->keys[i], n, item, sure);
	}
	return fine && sure;
}

static bool bind_table(struct binder *b, const struct key_table *table, const struct key_node *n, void *item)
{
	struct key_head *head = item;
	size_t before;

	head->node = n;
	head->wrong = true;
	head->mark = n->absent ? (struct key_mark){NULL, 0, 0} : node_mark(n);
	if (n->bad)
		return false; /* reported when it was read */
	if (n->kind != NODE_MAP && !node_is_null(n))
		return stray_not_a_map(b->report, table, n);
	if (!bind_keys(b, table, n, item) || b->no_memory)
		return false;
	before = report_count(b->report, REPORT_FAULT);
	if (table->check && !n->absent && !b->broken)
		table->check(item, b->report);
	head->wrong = report_count(b->report, REPORT_FAULT) != before;
	return !head->wrong;
}

static int bind_root(struct binder *b, const struct key_node *root, void *item)
{
	bool fine = bind_table(b, b->root, root, item);

	if (b->no_memory)
		return -ENOMEM;
	return fine ? 0 : BIND_WRONG;
}

int bind_tree(
	void *item, const struct key_table *table, const struct key_node *root, struct arena *a, struct key_report *r)
{
	struct binder b = {.arena = a, .report = r, .root = table};

	return bind_root(&b, root, item);
}

int bind_broken(
	void *item, const struct key_table *table, const struct key_node *root, struct arena *a, struct key_report *r)
{
	struct binder b = {.arena = a, .report = r, .root = table, .broken = true};

	return bind_root(&b, root, item);
}

int bind_defaults(void *item, const struct key_table *table, struct arena *a, struct key_report *r)
{
	struct key_node *n = node_new(a, NODE_MAP, (struct key_mark){NULL, 0, 0});

	if (!n)
		return -ENOMEM;
	n->absent = true;
	return bind_tree(item, table, n, a, r);
}
