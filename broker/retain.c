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

/* What it takes. Of an ordinary topic msg_bytes() says it well enough; the nodes of a deep one take more than its text. */
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

/* --- matching a filter -------------------------------------------------------------------------------------- */

struct walk {
	const struct retain *r;
	retain_fn *fn;
	void *ctx;
	int64_t now_ms;
	size_t depth;
	size_t looked_at;
	uint32_t level[TOPIC_MAX_LEVELS];
};

static void report(struct walk *w, uint32_t node)
{
	struct msg *m = live(w->r, node, w->now_ms);

	w->looked_at++;
	if (m)
		w->fn(w->ctx, m);
}

static bool hidden(const struct walk *w, uint32_t node)
{
	const struct tree_node *n = tree_node(&w->r->tree, node);
	size_t len;
	const char *text = levels_text(w->r->tree.levels, n->level, &len);

	return n->parent == TREE_ROOT && len > 0 && text[0] == '$'; /* [MQTT-4.7.2-1] */
}

/* Everything under node and node itself, without recursion. */
static void report_all(struct walk *w, uint32_t top)
{
	const struct tree *t = &w->r->tree;
	uint32_t at = top;

	for (;;) {
		const struct tree_node *n = tree_node(t, at);

		report(w, at);
		if (n->first != 0) {
			at = n->first;
			continue;
		}
		while (at != top && tree_node(t, at)->next == 0)
			at = tree_node(t, at)->parent;
		if (at == top)
			return;
		at = tree_node(t, at)->next;
	}
}

static void walk(struct walk *w, uint32_t node, size_t at)
{
	const struct tree *t = &w->r->tree;
	uint32_t child;

	w->looked_at++;
	if (at == w->depth) {
		report(w, node);
		return;
	}
	if (w->level[at] != LEVEL_PLUS && w->level[at] != LEVEL_HASH) {
		child = tree_child(t, node, w->level[at]);
		if (child != 0)
			walk(w, child, at + 1);
		return;
	}
	if (w->level[at] == LEVEL_HASH)
		report(w, node); /* a/# matches a */
	for (child = tree_node(t, node)->first; child != 0; child = tree_node(t, child)->next) {
		if (hidden(w, child))
			continue;
		if (w->level[at] == LEVEL_HASH)
			report_all(w, child);
		else
			walk(w, child, at + 1);
	}
}

size_t retain_each(const struct retain *r, const char *filter, size_t len, int64_t now_ms, retain_fn *fn, void *ctx)
{
	struct walk w = {.r = r, .fn = fn, .ctx = ctx, .now_ms = now_ms};

	w.depth = levels_split(r->tree.levels, filter, len, w.level);
	walk(&w, TREE_ROOT, 0);
	return w.looked_at;
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
