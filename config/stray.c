/* SPDX-License-Identifier: MIT */
#include "config/stray.h"

#include "config/report.h"
#include "config/suggest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { SEARCH_DEPTH = 8 };

static const struct key *find_key(const struct key_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->keys[i].name, name) == 0)
			return &table->keys[i];
	}
	return NULL;
}

/* "a line", "an upstream". Returns out. */
static const char *article(char *out, size_t cap, const char *noun)
{
	snprintf(out, cap, "%s %s", strchr("aeiou", tolower((unsigned char)noun[0])) ? "an" : "a", noun);
	return out;
}

/* The table below `in` that has this key, other than `not_here`. */
static const struct key_table *owner_of(
	const struct key_table *in, const struct key_table *not_here, const char *name, int depth)
{
	if (in != not_here && find_key(in, name))
		return in;
	for (size_t i = 0; depth < SEARCH_DEPTH && i < in->count; i++) {
		const struct key_table *next = in->keys[i].table;
		const struct key_table *found = next && next != in ? owner_of(next, not_here, name, depth + 1) : NULL;

		if (found)
			return found;
	}
	return NULL;
}

static const char *list_keys(char *out, size_t cap, const struct key_table *table)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < table->count; i++) {
		const char *name = table->keys[i].name;

		if (len + strlen(name) + 8 > cap) {
			snprintf(out + len, cap - len, ", ...");
			break;
		}
		len += (size_t)snprintf(out + len, cap - len, "%s%s", len ? ", " : "", name);
	}
	return out;
}

/* --- secrets ------------------------------------------------------------------------------------------------- */

static bool is_secret(const char *name)
{
	static const char *const words[] = {"password", "passwd", "pass", "passphrase", "secret", "token",
		"private_key", "psk", "api_key", "key_password"};

	for (size_t i = 0; i < KEY_COUNT(words); i++) {
		if (suggest_distance(name, words[i], 0) == 0)
			return true;
	}
	return false;
}

/* A key of the table that takes a file for it. */
static const char *file_key(const struct key_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		const char *k = table->keys[i].name;
		size_t len = strlen(k);

		if (len > 5 && strcmp(k + len - 5, "_file") == 0 && strncasecmp(k, name, 4) == 0)
			return k;
	}
	return NULL;
}

static bool inline_secret(struct key_report *r, const struct key_table *table, const struct key_node *n)
{
	const char *instead = file_key(table, n->key);
	struct key_mark mark = n->key_mark;
	char where[256];

	node_path(where, sizeof(where), n);
	if (instead)
		report_add(r, REPORT_FAULT, mark, where,
			"a secret must not stand in the configuration; put it in a file of its own (mode 0600) and "
			"write `%s: /path/to/file`",
			instead);
	else
		report_add(r, REPORT_FAULT, mark, where,
			"a secret must not stand in the configuration, and nothing here needs one; remove it");
	return false;
}

/* --- keys ---------------------------------------------------------------------------------------------------- */

/* `{scale: 0,5}` is a key `scale` and a key `5` without a value. */
static bool cut_by_comma(const struct key_node *before, const struct key_node *n)
{
	return before && before->kind == NODE_SCALAR && node_is_null(n) &&
	       n->key[strspn(n->key, "0123456789")] == '\0' && before->text[0] &&
	       before->text[strspn(before->text, "-+0123456789")] == '\0';
}

/* The key of table that a text begins with, before something that was to be a colon: `driver:sim`, `driver = sim`,
 * `driver sim` in braces are one key without a value. */
static const struct key *glued(const struct key_table *table, const struct key_node *n)
{
	size_t len = strcspn(n->key, ": =");
	char name[64];

	if (n->key[len] == '\0' || !node_is_null(n) || len >= sizeof(name))
		return NULL;
	memcpy(name, n->key, len);
	name[len] = '\0';
	return find_key(table, name);
}

static const char *missing_in(const char *glued)
{
	size_t len = strcspn(glued, ": =");

	if (glued[len] == ':')
		return "a space is missing after the colon";
	return glued[len + strspn(glued + len, " ")] == '=' ? "a `=` stands where a colon belongs"
							    : "a colon is missing behind the key";
}

/* What was told of a key, and is so for those behind it. */
struct astray {
	const struct key *below;
	const struct key_table *owner;
};

/* A map with keys of an entry of one of table's maps: `temp: {holding: 1}` beside `points:` and not below it. */
static const struct key *child_of(const struct key_table *table, const struct key_node *n)
{
	for (size_t i = 0; n->kind == NODE_MAP && i < table->count; i++) {
		const struct key *k = &table->keys[i];

		for (const struct key_node *c = k->type == KEY_MAP ? n->first : NULL; c; c = c->next)
			if (find_key(k->table, c->key) && !find_key(table, c->key))
				return k;
	}
	return NULL;
}

static struct astray unknown_key(struct key_report *r, const struct key_table *root, const struct key_table *table,
	const struct key_node *before, const struct key_node *n)
{
	struct suggestion s = suggest_for(n->key);
	const struct key_table *owner = owner_of(root, table, n->key, 0);
	const char *instead = suggest_instead(table->jargon, n->key);
	const struct key *below = child_of(table, n);
	char where[256], a[64], b[64], keys[240];

	for (size_t i = 0; i < table->count; i++)
		suggest_try(&s, table->keys[i].name);
	if (!instead && s.distance > 1)
		instead = suggest_near(table->jargon, n->key);
	node_path(where, sizeof(where), n);
	article(a, sizeof(a), table->name);
	if (below)
		report_add(r, REPORT_FAULT, n->key_mark, where,
			"is %s by the keys in it; begin it further to the right, below `%s:`",
			article(b, sizeof(b), below->table->name), below->name);
	else if (cut_by_comma(before, n))
		report_add(r, REPORT_FAULT, n->key_mark, where,
			"a comma separates keys here; write the number as %s.%s", before->text, n->key);
	else if (glued(table, n))
		report_add(r, REPORT_FAULT, n->key_mark, where, "%s; write `key: value`", missing_in(n->key));
	else if (instead)
		report_add(r, REPORT_FAULT, n->key_mark, where, "%s has no such key; write %s", a, instead);
	else if (s.best && (s.distance <= 1 || !owner))
		report_add(r, REPORT_FAULT, n->key_mark, where, "%s has no such key; did you mean `%s`?", a, s.best);
	else if (owner)
		report_add(r, REPORT_FAULT, n->key_mark, where, "%s has no such key; it belongs to %s", a,
			article(b, sizeof(b), owner->name));
	else if (node_is_null(n) && !n->quoted)
		report_add(r, REPORT_FAULT, n->key_mark, where,
			"%s has no such key; if it is the name of something else, begin it further to the left", a);
	else
		report_add(r, REPORT_FAULT, n->key_mark, where, "%s has no such key; it knows %s", a,
			list_keys(keys, sizeof(keys), table));
	return (struct astray){below, below || instead || (s.best && s.distance <= 1) ? NULL : owner};
}

static bool goes_with(const struct astray *told, const struct key_table *table, const struct key_node *n)
{
	if (told->below)
		return child_of(table, n) == told->below;
	return told->owner && find_key(told->owner, n->key);
}

bool stray_check_keys(
	struct key_report *r, const struct key_table *root, const struct key_table *table, const struct key_node *n)
{
	const struct key_node *before = NULL;
	struct astray told = {0};
	bool fine = true;

	for (const struct key_node *c = n->first; c; before = c, c = c->next) {
		if (find_key(table, c->key))
			continue;
		fine = false;
		if (report_full(r))
			return false;
		if (is_secret(c->key))
			inline_secret(r, table, c);
		else if (!goes_with(&told, table, c))
			told = unknown_key(r, root, table, before, c);
	}
	return fine;
}

const struct key_node *stray_stand_in(const struct key_table *table, const struct key_node *n, const struct key *key)
{
	for (const struct key_node *c = n->first; c; c = c->next) {
		struct suggestion s = suggest_for(c->key);

		if (find_key(table, c->key))
			continue;
		for (size_t i = 0; i < table->count; i++)
			suggest_try(&s, table->keys[i].name);
		if (s.best == key->name || glued(table, c) == key)
			return c;
	}
	return NULL;
}

/* --- names and maps ------------------------------------------------------------------------------------------ */

/* A part of the whole that slid below another: `devices:` among the lines. Its own entries, where they did not slide with
 * it, follow it in the same column. */
static bool is_part(const struct key_table *root, const struct key_table *table, const struct key_node *n)
{
	const struct key *part = root != table ? find_key(root, n->key) : NULL;

	if (!part || (!part->table && part->type != KEY_TREE))
		return false;
	if (node_is_null(n))
		return true;
	return n->kind == NODE_MAP && part->table &&
	       (part->type == KEY_MAP ||
		       (n->first && find_key(part->table, n->first->key) && !find_key(table, n->first->key)));
}

static bool is_key_value(const struct key_table *table, const struct key_node *n)
{
	const struct key *key = find_key(table, n->key);

	if (!key || node_is_null(n))
		return key && key->table;
	if (n->kind == NODE_MAP)
		return key->type == KEY_MAP && n->first->kind == NODE_MAP && n->first->first &&
		       find_key(key->table, n->first->first->key) && !find_key(table, n->first->first->key);
	return n->kind == NODE_LIST || !key->table;
}

/* n, and all keys of table behind it: the whole of an entry that stands beside its name. */
static const struct key_node *past_keys(const struct key_table *table, const struct key_node *n)
{
	const struct key_node *last = n;

	for (const struct key_node *c = n->next; c && find_key(table, c->key); c = c->next)
		last = c;
	return last;
}

const struct key_node *stray_name(
	struct key_report *r, const struct key_table *root, const struct key_table *table, const struct key_node *n)
{
	const struct key_node *name = n, *last;
	char where[256], a[64];

	article(a, sizeof(a), table->name);
	if (is_part(root, table, n)) {
		report_add(r, REPORT_FAULT, n->key_mark, node_path(where, sizeof(where), n),
			"is a part of the %s, not the name of %s; begin it in the first column", root->name, a);
		return node_is_null(n) ? n->parent->last : n;
	}
	if (node_is_null(n) && n->next && is_key_value(table, n->next))
		n = n->next; /* the name that they belong below */
	if (!is_key_value(table, n))
		return NULL;
	last = past_keys(table, n);
	node_path(where, sizeof(where), n);
	if (name == n)
		report_add(r, REPORT_FAULT, n->key_mark, where,
			"is a key of %s, not the name of one; indent it below the name%s", a,
			last == n ? "" : ", with the keys behind it");
	else
		report_add(r, REPORT_FAULT, n->key_mark, where,
			"is a key of %s, not the name of one; indent it below `%.40s:`%s", a, name->key,
			last == n ? "" : ", with the keys behind it");
	return last;
}

/* `baud:9600` */
static bool lacks_space(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz_");

	return n > 0 && s[n] == ':' && s[n + 1] && !isspace((unsigned char)s[n + 1]) && s[n + 1] != '/';
}

/* `baud=9600`, `baud = 9600` */
static bool has_equals(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz_");

	return n > 0 && s[n + strspn(s + n, " ")] == '=';
}

bool stray_not_a_map(struct key_report *r, const struct key_table *table, const struct key_node *n)
{
	struct node_quote q;
	char a[64], keys[60];

	article(a, sizeof(a), table->name);
	if (n->kind == NODE_SCALAR && find_key(table, n->text))
		report_at(r, REPORT_FAULT, n, "a colon is missing behind %s; write `key: value`",
			node_quote(&q, n->text));
	else if (n->kind == NODE_SCALAR && lacks_space(n->text))
		report_at(r, REPORT_FAULT, n, "a space is missing after the colon in %s; write `key: value`",
			node_quote(&q, n->text));
	else if (n->kind == NODE_SCALAR && has_equals(n->text))
		report_at(r, REPORT_FAULT, n, "%s has a `=` where a colon belongs; write `key: value`",
			node_quote(&q, n->text));
	else if (n->kind == NODE_SCALAR)
		report_at(r, REPORT_FAULT, n, "%s is a map of keys (%s), not %s; write `key: value` below it", a,
			list_keys(keys, sizeof(keys), table), node_quote(&q, n->text));
	else
		report_at(r, REPORT_FAULT, n, "%s is a map of keys (%s), not a list; write them without `- `", a,
			list_keys(keys, sizeof(keys), table));
	return false;
}
