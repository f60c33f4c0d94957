/* SPDX-License-Identifier: MIT */
/* tree.h - a tree of topic levels with a 32-bit value at each node: under subscriptions and retained messages.
 *
 * Owner     broker thread.
 * Memory    24 bytes a node and a slot of one hash table keyed by (parent, level); nodes are numbers.
 *           A node without value and without children is removed, with its parents.
 */
#ifndef BROKER_TREE_H
#define BROKER_TREE_H

#include "broker/levels.h"

#include <stdbool.h>

enum { TREE_ROOT = 1 };

struct tree_node {
	uint32_t parent;
	uint32_t level : 29, has_plus : 1, has_hash : 1, pinned : 1; /* a child `+`, a child `#`; it is not removed */
	uint32_t first, next, prev; /* children; siblings. A free node: next is the next free one */
	uint32_t value;
};

struct tree {
	struct levels *levels; /* shared with other trees */
	struct tree_node *nodes;
	uint32_t count, cap, spare, live;
	uint32_t *slots;
	uint32_t slot_count;
};

int tree_init(struct tree *t, struct levels *levels);
void tree_fini(struct tree *t);
uint32_t tree_make(struct tree *t, const char *path, size_t len);       /* the node, made if needed; 0: no memory */
uint32_t tree_find(const struct tree *t, const char *path, size_t len); /* 0: not there */
void tree_prune(struct tree *t, uint32_t node);                         /* after its value became 0 */
uint32_t tree_child(const struct tree *t, uint32_t node, uint32_t level);
size_t tree_path(const struct tree *t, uint32_t node, char *out, size_t cap); /* its text; length, 0: does not fit */

static inline struct tree_node *tree_node(const struct tree *t, uint32_t node)
{
	return &t->nodes[node];
}

#endif
