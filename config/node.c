/* SPDX-License-Identifier: MIT */
#include "config/node.h"

#include <stdlib.h>
#include <string.h>

struct key_node *node_new(struct arena *a, enum node_kind kind, struct key_mark mark)
{
	struct key_node *n = arena_alloc(a, sizeof(*n));

	if (n) {
		n->kind = kind;
		n->mark = mark;
	}
	return n;
}

void node_append(struct key_node *parent, struct key_node *child)
{
	child->parent = parent;
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	child->index = parent->count++;
}

void node_remove(struct key_node *parent, struct key_node *child)
{
	struct key_node *c = parent->first, *next;

	parent->first = parent->last = NULL;
	parent->count = 0;
	for (; c; c = next) {
		next = c->next;
		c->next = NULL;
		if (c != child)
			node_append(parent, c);
	}
}

struct key_node *node_copy(struct arena *a, const struct key_node *n, size_t *budget)
{
	struct key_node *copy;

	if (*budget == 0)
		return NULL;
	(*budget)--;
	copy = node_new(a, n->kind, n->mark);
	if (!copy)
		return NULL;
	copy->quoted = n->quoted;
	copy->key = n->key;
	copy->key_mark = n->key_mark;
	copy->text = n->text;
	copy->len = n->len;
	for (const struct key_node *c = n->first; c; c = c->next) {
		struct key_node *child = node_copy(a, c, budget);

		if (!child)
			return NULL;
		node_append(copy, child);
	}
	return copy;
}

const struct key_node *node_find(const struct key_node *map, const char *key)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (const struct key_node *c = map->first; c; c = c->next) {
		if (strcmp(c->key, key) == 0)
			return c;
	}
	return NULL;
}

bool node_is_null(const struct key_node *n)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (n->kind != NODE_SCALAR || n->quoted)
		return false;
	for (size_t i = 0; i < KEY_COUNT(words); i++) {
		if (strcmp(n->text, words[i]) == 0)
			return true;
	}
	return false;
}

/* Equal keys stay in the order of the file: the second one is the mistake. */
static int by_key(const void *a, const void *b)
{
	const struct key_node *x = *(const struct key_node *const *)a;
	const struct key_node *y = *(const struct key_node *const *)b;
	int order = strcmp(x->key, y->key);

	if (order == 0)
		order = (x->key_mark.line > y->key_mark.line) - (x->key_mark.line < y->key_mark.line);
	if (order == 0)
		order = (x->key_mark.column > y->key_mark.column) - (x->key_mark.column < y->key_mark.column);
	return order;
}

const struct key_node **node_sorted(struct arena *a, const struct key_node *map)
{
	const struct key_node **all = arena_alloc(a, (map->count + 1) * sizeof(*all));
	size_t n = 0;

	if (!all)
		return NULL;
	for (const struct key_node *c = map->first; c; c = c->next)
		all[n++] = c;
	qsort(all, n, sizeof(*all), by_key);
	return all;
}

struct key_mark node_mark(const struct key_node *n)
{
	while (n->absent && n->parent)
		n = n->parent;
	return n->key ? n->key_mark : n->mark;
}

/* --- as text ------------------------------------------------------------------------------------------------- */

struct writer {
	char *at, *end; /* end leaves room for the cut mark and the terminator */
	bool cut;
};

static void put(struct writer *w, const char *bytes, size_t len)
{
	if (w->cut || len > (size_t)(w->end - w->at)) {
		w->cut = true;
		return;
	}
	memcpy(w->at, bytes, len);
	w->at += len;
}

/* One character, whole or not at all; what a terminal would obey is spelled out. */
static size_t put_char(struct writer *w, const char *s)
{
	unsigned char c = (unsigned char)*s;
	char escaped[16];
	size_t n = 1;

	if (c == 0xc2 && (unsigned char)s[1] < 0xa0) { /* C1 control characters */
		put(w, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned char)s[1]));
		return 2;
	}
	if (c < 0x20 || c == 0x7f) {
		const char *short_form = c == '\n' ? "\\n" : c == '\t' ? "\\t" : NULL;

		if (short_form)
			put(w, short_form, 2);
		else
			put(w, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\x%02x", c));
		return 1;
	}
	while (((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	put(w, s, n);
	return n;
}

static void put_text(struct writer *w, const char *s)
{
	while (*s)
		s += put_char(w, s);
}

static void finish(struct writer *w)
{
	if (w->cut) {
		memcpy(w->at, "...", 3);
		w->at += 3;
	}
	*w->at = '\0';
}

static void put_path(struct writer *w, const struct key_node *n)
{
	char number[32];

	if (!n->parent)
		return;
	put_path(w, n->parent);
	if (!n->key) {
		put(w, number, (size_t)snprintf(number, sizeof(number), "[%zu]", n->index));
		return;
	}
	if (n->parent->parent)
		put(w, ".", 1);
	put_text(w, n->key);
}

const char *node_path(char *out, size_t cap, const struct key_node *n)
{
	struct writer w = {out, out + cap - 4, false};

	put_path(&w, n);
	finish(&w);
	return out;
}

const char *node_path_of_key(char *out, size_t cap, const struct key_node *map, const char *key)
{
	struct writer w = {out, out + cap - 4, false};

	put_path(&w, map);
	if (map->parent)
		put(&w, ".", 1);
	put_text(&w, key);
	finish(&w);
	return out;
}

const char *node_quote(struct node_quote *q, const char *text)
{
	struct writer w = {q->text, q->text + sizeof(q->text) - 5, false};

	put(&w, "`", 1);
	put_text(&w, text);
	finish(&w);
	memcpy(w.at, "`", 2);
	return q->text;
}
