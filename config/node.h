/* SPDX-License-Identifier: MIT */
/* node.h - a configuration as a tree of scalars, lists and maps, each with the place it stands at.
 *
 * Owner     whoever made the arena. What yaml.c or merge.c has returned is not changed any more.
 * Memory    the arena's. A tree is a tree: nothing is shared, aliases were copied, every node has one parent.
 * Bounds    NODE_MAX_DEPTH levels; how many nodes is up to the reader (yaml.h).
 */
#ifndef CONFIG_NODE_H
#define CONFIG_NODE_H

#include "base/arena.h"
#include "config/key.h"

#include <stdio.h>

enum { NODE_MAX_DEPTH = 32 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct key_node {
	enum node_kind kind;
	bool quoted; /* a scalar in quotes, or a block of text */
	bool absent; /* stands for a table that nobody wrote */
	bool bad;    /* a mistake in it was reported; what it holds is not what was meant */
	struct key_mark mark;
	const char *key; /* in a map; NULL in a list */
	struct key_mark key_mark;
	const char *text; /* of a scalar: terminated, no NUL within */
	size_t len;
	struct key_node *parent;
	struct key_node *first, *last, *next;
	size_t count; /* of children */
	size_t index; /* among its siblings */
};

struct key_node *node_new(struct arena *a, enum node_kind kind, struct key_mark mark); /* NULL: no memory */
void node_append(struct key_node *parent, struct key_node *child);
void node_remove(struct key_node *parent, struct key_node *child); /* linear */
/* A copy of n and all below, without parent and siblings. *budget nodes at most; NULL when that or memory ran out. */
struct key_node *node_copy(struct arena *a, const struct key_node *n, size_t *budget);

const struct key_node *node_find(const struct key_node *map, const char *key); /* NULL: not there, or no map */
bool node_is_null(const struct key_node *n); /* `key:` with nothing, ~ or null behind it */

/* Children in order of their keys, as an array in the arena; NULL: no memory. For what must not be quadratic. */
const struct key_node **node_sorted(struct arena *a, const struct key_node *map);

/* "lines.boiler-bus.baud", "listeners[1].bind"; "" for a root. Cut with "..." to fit. */
const char *node_path(char *out, size_t cap, const struct key_node *n);

const char *node_path_of_key(
	char *out, size_t cap, const struct key_node *map, const char *key); /* need not be there */

/* What was written, for a sentence: in backticks, control characters escaped, cut to a readable length. */
enum { NODE_QUOTE_CAP = 96 };
struct node_quote {
	char text[NODE_QUOTE_CAP];
};
const char *node_quote(struct node_quote *q, const char *text);

/* Where a child that is being looked at stands in a sentence: its key, else itself. */
struct key_mark node_mark(const struct key_node *n);

#endif
