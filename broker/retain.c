/* SPDX-License-Identifier: MIT */
#include "broker/retain.h"

#include "broker/area.h"
#include "broker/expiry.h"

#include <errno.h>
#include <string.h>

int retain_init(struct retain *r, struct levels *levels, uint32_t max_count, uint64_t max_bytes)
{
	*r = (struct retain){.used = 1, .max_count = max_count, .max_bytes = max_bytes};
	return tree_init(&r->tree, levels);
}

void retain_limit(struct retain *r, uint32_t max_count, uint64_t max_bytes)
{
	r->max_count = max_count;
	r->max_bytes = max_bytes;
}

static bool is_free(const struct retain *r, uint32_t i)
{
	return (uintptr_t)r->all[i] & 1;
}

void retain_fini(struct retain *r)
{
	for (uint32_t i = 1; i < r->used && r->all; i++)
		if (!is_free(r, i))
			msg_unref(r->all[i]);
	area_free(r->all, r->cap * sizeof(struct msg *));
	tree_fini(&r->tree);
	*r = (struct retain){0};
}

static uint32_t new_place(struct retain *r)
{
	uint32_t i = r->spare;

	if (i != 0) {
		r->spare = (uint32_t)((uintptr_t)r->all[i] >> 1);
		return i;
	}
	if (r->used >= r->cap) {
		uint32_t cap = r->cap > 0 ? r->cap + r->cap / 2 : 64;
		struct msg **all = area_resize(r->all, r->cap * sizeof(struct msg *), cap * sizeof(struct msg *));

		if (!all)
			return 0;
		r->all = all;
		r->cap = cap;
	}
	return r->used++;
}

static bool is_ours(const char *topic, size_t len)
{
	return len >= 5 && memcmp(topic, "$SYS/", 5) == 0;
}

static void tell(struct retain *r, uint32_t place, struct msg *m, bool late)
{
	if (r->changed)
		r->changed(r->ctx, place, m, late);
}

/* What it takes. Of an ordinary topic msg_bytes() says it well enough; the nodes of a deep one take more than its
 * text. */
static uint64_t cost(const char *topic, size_t len, size_t bytes)
{
	enum { ORDINARY = 8, LEVEL_COSTS = 36 };
	size_t levels = 1;

	for (size_t i = 0; i < len; i++)
		levels += topic[i] == '/';
	return bytes + (levels > ORDINARY ? (levels - ORDINARY) * LEVEL_COSTS : 0);
}

static uint64_t cost_of(const struct msg *m)
{
	return cost(msg_topic(m), m->topic_len, msg_bytes(m));
}

static void clear(struct retain *r, uint32_t node)
{
	struct tree_node *n = tree_node(&r->tree, node);
	uint32_t i = n->value;

	r->bytes -= cost_of(r->all[i]);
	r->count--;
	r->ours -= is_ours(msg_topic(r->all[i]), r->all[i]->topic_len);
	msg_unref(r->all[i]);
	r->all[i] = (struct msg *)((uintptr_t)r->spare << 1 | 1);
	r->spare = i;
	n->value = 0;
	tree_prune(&r->tree, node);
	tell(r, i, NULL, false);
}

static int add(struct retain *r, struct msg *m, bool late)
{
	uint32_t node, i;

	node = tree_make(&r->tree, msg_topic(m), m->topic_len);
	i = node != 0 ? new_place(r) : 0;
	if (i == 0) {
		if (node != 0)
			tree_prune(&r->tree, node);
		return -ENOMEM;
	}
	tree_node(&r->tree, node)->value = i;
	r->all[i] = msg_ref(m);
	r->count++;
	r->ours += is_ours(msg_topic(m), m->topic_len);
	r->bytes += cost_of(m);
	tell(r, i, m, late);
	return 0;
}

bool retain_fits(const struct retain *r, const char *topic, size_t len, size_t bytes)
{
	uint32_t node = tree_find(&r->tree, topic, len);
	uint32_t i = node != 0 ? tree_node(&r->tree, node)->value : 0;

	if (is_ours(topic, len))
		return true;
	if (i != 0)
		return r->bytes - cost_of(r->all[i]) + cost(topic, len, bytes) <= r->max_bytes;
	return r->count - r->ours < r->max_count && r->bytes + cost(topic, len, bytes) <= r->max_bytes;
}

int retain_set(struct retain *r, struct msg *m, bool late)
{
	uint32_t node = tree_find(&r->tree, msg_topic(m), m->topic_len);
	uint32_t i = node != 0 ? tree_node(&r->tree, node)->value : 0;

	if (m->payload_len == 0) {
		if (i != 0)
			clear(r, node);
		return 0;
	}
	if (!retain_fits(r, msg_topic(m), m->topic_len, msg_bytes(m)))
		return RETAIN_FULL;
	if (i == 0)
		return add(r, m, late);
	r->bytes += cost_of(m);
	r->bytes -= cost_of(r->all[i]);
	msg_unref(r->all[i]);
	r->all[i] = msg_ref(m);
	tell(r, i, m, late);
	return 0;
}

struct msg *retain_at(const struct retain *r, uint32_t place)
{
	return place > 0 && place < r->used && !is_free(r, place) ? r->all[place] : NULL;
}

uint32_t retain_place(const struct retain *r, const char *topic, size_t len)
{
	uint32_t node = tree_find(&r->tree, topic, len);

	return node != 0 ? tree_node(&r->tree, node)->value : 0;
}

static struct msg *live(const struct retain *r, uint32_t node, int64_t now_ms)
{
	uint32_t i = tree_node(&r->tree, node)->value;

	return i != 0 && !expiry_passed(r->all[i], now_ms) ? r->all[i] : NULL;
}

struct msg *retain_get(const struct retain *r, const char *topic, size_t len, int64_t now_ms)
{
	uint32_t node = tree_find(&r->tree, topic, len);

	return node != 0 ? live(r, node, now_ms) : NULL;
}

/* --- a walk through what matches ---------------------------------------------------------------------------- */

/* A filter as numbers of levels, which hold until something is retained or cleared. */
struct pattern {
	const struct tree *tree;
	size_t depth, hash_at; /* hash_at: from this depth on everything matches */
	uint32_t level[TOPIC_MAX_LEVELS];
};

static void split(struct pattern *p, const struct retain *r, struct span filter)
{
	p->tree = &r->tree;
	p->depth = levels_split(r->tree.levels, (const char *)filter.at, filter.len, p->level);
	p->hash_at = p->level[p->depth - 1] == LEVEL_HASH ? p->depth - 1 : SIZE_MAX;
}

static bool is_wild(const struct pattern *p, size_t depth)
{
	return depth >= p->hash_at || (depth < p->depth && p->level[depth] == LEVEL_PLUS);
}

static bool matches(const struct pattern *p, size_t depth)
{
	return depth == p->depth || depth >= p->hash_at;
}

static bool hidden(const struct tree *t, const struct tree_node *n)
{
	size_t len;
	const char *text = levels_text(t->levels, n->level, &len);

	return n->parent == TREE_ROOT && len > 0 && text[0] == '$'; /* [MQTT-4.7.2-1] */
}

/* This one of those that a wildcard stands for, or the next. */
static uint32_t visible(const struct tree *t, uint32_t node)
{
	while (node != 0 && hidden(t, tree_node(t, node)))
		node = tree_node(t, node)->next;
	return node;
}

static uint32_t below(const struct pattern *p, uint32_t node, size_t depth)
{
	if (is_wild(p, depth))
		return visible(p->tree, tree_node(p->tree, node)->first);
	return depth < p->depth ? tree_child(p->tree, node, p->level[depth]) : 0;
}

static uint32_t beside(const struct pattern *p, uint32_t node, size_t depth)
{
	return is_wild(p, depth - 1) ? visible(p->tree, tree_node(p->tree, node)->next) : 0;
}

/* First down, then to the side, then up until there is a way to the side. */
static uint32_t after(const struct pattern *p, uint32_t node, size_t *depth)
{
	uint32_t next = below(p, node, *depth);

	if (next != 0)
		++*depth;
	for (; next == 0 && node != TREE_ROOT; node = tree_node(p->tree, node)->parent, --*depth) {
		next = beside(p, node, *depth);
		if (next != 0)
			break;
	}
	return next;
}

static size_t depth_of(const struct tree *t, uint32_t node)
{
	size_t depth = 0;

	for (; node != TREE_ROOT; node = tree_node(t, node)->parent)
		depth++;
	return depth;
}

static void stand(struct retain *r, struct retain_walk *w)
{
	tree_node(&r->tree, w->node)->pinned = 1;
	w->next = r->walks;
	w->pprev = &r->walks;
	if (w->next)
		w->next->pprev = &w->next;
	r->walks = w;
}

/* Its node may be removed again, unless another one stands there. */
static void leave(struct retain *r, struct retain_walk *w)
{
	const struct retain_walk *other;

	if (!w->pprev)
		return;
	*w->pprev = w->next;
	if (w->next)
		w->next->pprev = w->pprev;
	w->pprev = NULL;
	for (other = r->walks; other && other->node != w->node; other = other->next)
		;
	tree_node(&r->tree, w->node)->pinned = other != NULL;
}

void retain_walk_begin(struct retain_walk *w)
{
	*w = (struct retain_walk){.node = TREE_ROOT};
}

void retain_walk_end(struct retain *r, struct retain_walk *w)
{
	leave(r, w);
	if (w->node != 0)
		tree_prune(&r->tree, w->node);
	w->node = 0;
}

void retain_walk_move(struct retain *r, struct retain_walk *to, struct retain_walk *from)
{
	*to = (struct retain_walk){.node = from->node};
	if (!from->pprev)
		return;
	stand(r, to);
	leave(r, from);
}

size_t retain_walk_on(struct retain *r, struct retain_walk *w, struct span filter, int64_t now_ms, size_t places,
	retain_fn *fn, void *ctx)
{
	struct pattern p;
	uint32_t from = w->node;
	size_t depth, looked_at = 0;

	if (from == 0)
		return 0;
	leave(r, w);
	split(&p, r, filter);
	for (depth = depth_of(p.tree, from); w->node != 0 && looked_at < places; looked_at++) {
		struct msg *m = matches(&p, depth) ? live(r, w->node, now_ms) : NULL;

		if (m)
			fn(ctx, m);
		w->node = after(&p, w->node, &depth);
	}
	if (w->node != 0)
		stand(r, w);
	if (from != w->node)
		tree_prune(&r->tree, from); /* what it held may have been cleared while it was stood on */
	return looked_at;
}

void retain_sweep(struct retain *r, int64_t now_ms, uint32_t steps)
{
	for (; steps > 0 && r->used > 1; steps--) {
		struct msg *m;

		if (++r->sweep_at >= r->used)
			r->sweep_at = 1;
		m = r->all[r->sweep_at];
		if (is_free(r, r->sweep_at) || !expiry_passed(m, now_ms))
			continue;
		clear(r, tree_find(&r->tree, msg_topic(m), m->topic_len));
	}
}
