/* SPDX-License-Identifier: MIT */
#include "broker/tree.h"

#include "broker/area.h"

#include <errno.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

static uint32_t hash_of(uint32_t parent, uint32_t level)
{
	uint64_t h = ((uint64_t)parent << 32 | level) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

static uint32_t slot_of(const struct tree *t, uint32_t parent, uint32_t level)
{
	uint32_t mask = t->slot_count - 1, i = hash_of(parent, level) & mask;

	while (t->slots[i] != 0) {
		const struct tree_node *n = &t->nodes[t->slots[i]];

		if (n->parent == parent && n->level == level)
			break;
		i = (i + 1) & mask;
	}
	return i;
}

static int grow_slots(struct tree *t)
{
	uint32_t count = t->slot_count > 0 ? t->slot_count * 2 : FIRST_SLOTS;
	uint32_t *old = t->slots, *slots = area_new(count * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->slot_count; i++) {
		const struct tree_node *n = &t->nodes[old[i]];
		uint32_t at;

		if (old[i] == 0)
			continue;
		at = hash_of(n->parent, n->level) & (count - 1);
		while (slots[at] != 0)
			at = (at + 1) & (count - 1);
		slots[at] = old[i];
	}
	area_free(old, t->slot_count * sizeof(*slots));
	t->slots = slots;
	t->slot_count = count;
	return 0;
}

static uint32_t new_node(struct tree *t)
{
	uint32_t id = t->spare;

	if (id != 0) {
		t->spare = t->nodes[id].next;
		return id;
	}
	if (t->count >= t->cap) {
		uint32_t cap = t->cap > 0 ? t->cap + t->cap / 2 : FIRST_SLOTS;
		struct tree_node *nodes = area_resize(t->nodes, t->cap * sizeof(*nodes), cap * sizeof(*nodes));

		if (!nodes)
			return 0;
		t->nodes = nodes;
		t->cap = cap;
	}
	return t->count++;
}

int tree_init(struct tree *t, struct levels *levels)
{
	*t = (struct tree){.levels = levels, .count = TREE_ROOT};
	if (grow_slots(t) < 0)
		return -ENOMEM;
	if (new_node(t) != TREE_ROOT) {
		tree_fini(t);
		return -ENOMEM;
	}
	memset(t->nodes, 0, (TREE_ROOT + 1) * sizeof(*t->nodes));
	return 0;
}

void tree_fini(struct tree *t)
{
	area_free(t->nodes, t->cap * sizeof(*t->nodes));
	area_free(t->slots, t->slot_count * sizeof(*t->slots));
	*t = (struct tree){0};
}

uint32_t tree_child(const struct tree *t, uint32_t node, uint32_t level)
{
	return level == LEVEL_NONE ? 0 : t->slots[slot_of(t, node, level)];
}

static uint32_t add_child(struct tree *t, uint32_t parent, uint32_t level)
{
	uint32_t id;
	struct tree_node *n, *p;

	if ((t->live + 1) * 4 > t->slot_count * 3 && grow_slots(t) < 0)
		return 0;
	id = new_node(t);
	if (id == 0)
		return 0;
	n = &t->nodes[id];
	p = &t->nodes[parent];
	*n = (struct tree_node){.parent = parent, .level = level & 0x1fffffff, .next = p->first};
	if (p->first)
		t->nodes[p->first].prev = id;
	p->first = id;
	if (level == LEVEL_PLUS)
		p->has_plus = 1;
	if (level == LEVEL_HASH)
		p->has_hash = 1;
	t->slots[slot_of(t, parent, level)] = id;
	t->live++;
	return id;
}

static const char *next_level(const char **at, const char *end, size_t *len)
{
	const char *start = *at, *slash = memchr(start, '/', (size_t)(end - start));

	*len = (size_t)((slash ? slash : end) - start);
	*at = slash ? slash + 1 : NULL;
	return start;
}

uint32_t tree_make(struct tree *t, const char *path, size_t len)
{
	const char *at = path, *end = path + len;
	uint32_t node = TREE_ROOT;

	while (at) {
		size_t n;
		const char *text = next_level(&at, end, &n);
		uint32_t level = levels_keep(t->levels, text, n), child = tree_child(t, node, level);

		if (child != 0) {
			levels_drop(t->levels, level); /* the node has its own reference */
			node = child;
			continue;
		}
		child = level != LEVEL_NONE ? add_child(t, node, level) : 0;
		if (child == 0) {
			levels_drop(t->levels, level);
			tree_prune(t, node);
			return 0;
		}
		node = child;
	}
	return node;
}

uint32_t tree_find(const struct tree *t, const char *path, size_t len)
{
	const char *at = path, *end = path + len;
	uint32_t node = TREE_ROOT;

	while (at && node != 0) {
		size_t n;
		const char *text = next_level(&at, end, &n);

		node = tree_child(t, node, levels_find(t->levels, text, n));
	}
	return node;
}

static void close_gap(struct tree *t, uint32_t gap)
{
	uint32_t mask = t->slot_count - 1;

	for (uint32_t i = (gap + 1) & mask; t->slots[i] != 0; i = (i + 1) & mask) {
		const struct tree_node *n = &t->nodes[t->slots[i]];
		uint32_t home = hash_of(n->parent, n->level) & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		t->slots[gap] = t->slots[i];
		gap = i;
	}
	t->slots[gap] = 0;
}

static void remove_node(struct tree *t, uint32_t id)
{
	struct tree_node *n = &t->nodes[id], *p = &t->nodes[n->parent];

	close_gap(t, slot_of(t, n->parent, n->level));
	if (n->prev)
		t->nodes[n->prev].next = n->next;
	else
		p->first = n->next;
	if (n->next)
		t->nodes[n->next].prev = n->prev;
	if (n->level == LEVEL_PLUS)
		p->has_plus = 0;
	if (n->level == LEVEL_HASH)
		p->has_hash = 0;
	levels_drop(t->levels, n->level);
	*n = (struct tree_node){.next = t->spare};
	t->spare = id;
	t->live--;
}

void tree_prune(struct tree *t, uint32_t node)
{
	while (node != TREE_ROOT && t->nodes[node].value == 0 && t->nodes[node].first == 0 && !t->nodes[node].pinned) {
		uint32_t parent = t->nodes[node].parent;

		remove_node(t, node);
		node = parent;
	}
}

size_t tree_path(const struct tree *t, uint32_t node, char *out, size_t cap)
{
	uint32_t up[TOPIC_MAX_LEVELS];
	size_t depth = 0, n = 0;

	for (; node != TREE_ROOT && depth < TOPIC_MAX_LEVELS; node = t->nodes[node].parent)
		up[depth++] = node;
	while (depth-- > 0) {
		size_t len;
		const char *text = levels_text(t->levels, t->nodes[up[depth]].level, &len);

		if (n + len + 2 > cap)
			return 0;
		memcpy(out + n, text, len);
		n += len;
		if (depth > 0)
			out[n++] = '/';
	}
	out[n] = 0;
	return n;
}
