/* SPDX-License-Identifier: MIT */
/* The value of a tree node is an array in the cells: its first cell holds the count, one cell per subscription
 * follows. */
#include "broker/subs.h"

#include <errno.h>
#include <string.h>

int subs_init(struct subs *s, struct levels *levels)
{
	*s = (struct subs){.generation = 1};
	return tree_init(&s->tree, levels);
}

void subs_fini(struct subs *s)
{
	tree_fini(&s->tree);
	cells_fini(&s->cells);
}

static uint32_t *count_of(const struct subs *s, uint32_t at)
{
	return cells_at(&s->cells, at);
}

static struct sub *list_of(const struct subs *s, uint32_t at)
{
	return (struct sub *)cells_at(&s->cells, at) + 1;
}

const struct sub *subs_at(const struct subs *s, uint32_t node, uint32_t *count)
{
	uint32_t at = tree_node(&s->tree, node)->value;

	*count = at != 0 ? *count_of(s, at) : 0;
	return at != 0 ? list_of(s, at) : NULL;
}

static struct sub *find(const struct subs *s, uint32_t node, uint32_t who)
{
	uint32_t at = tree_node(&s->tree, node)->value, n = at != 0 ? *count_of(s, at) : 0;
	struct sub *list = at != 0 ? list_of(s, at) : NULL;

	for (uint32_t i = 0; i < n; i++)
		if (list[i].who == who)
			return &list[i];
	return NULL;
}

const struct sub *subs_find(const struct subs *s, uint32_t node, uint32_t who)
{
	return find(s, node, who);
}

/* --- generations -------------------------------------------------------------------------------------------- */

uint32_t subs_bucket(const char *path, size_t len)
{
	const char *slash = memchr(path, '/', len);

	/* not keyed: a crowded bucket only costs routes */
	return levels_hash(0, path, slash ? (size_t)(slash - path) : len) % SUBS_BUCKETS;
}

void subs_invalidate(struct subs *s)
{
	s->generation++;
}

static void changed(struct subs *s, uint32_t node)
{
	uint32_t level;
	const char *text;
	size_t len;

	while (tree_node(&s->tree, node)->parent != TREE_ROOT)
		node = tree_node(&s->tree, node)->parent;
	level = tree_node(&s->tree, node)->level;
	text = levels_text(s->tree.levels, level, &len);
	if (level == LEVEL_PLUS || level == LEVEL_HASH)
		s->generation++;
	else
		s->of_first[subs_bucket(text, len)]++;
}

/* --- changes ------------------------------------------------------------------------------------------------ */

int subs_set(struct subs *s, const char *filter, size_t len, struct sub sub, uint32_t *node)
{
	uint32_t n = tree_make(&s->tree, filter, len), at, count;
	struct sub *old = n != 0 ? find(s, n, sub.who) : NULL;

	if (n == 0)
		return -ENOMEM;
	*node = n;
	if (old) {
		*old = sub;
		changed(s, n);
		return SUBS_REPLACED;
	}
	at = tree_node(&s->tree, n)->value;
	count = at != 0 ? *count_of(s, at) : 0;
	at = cells_resize(&s->cells, at, 1 + count, 2 + count);
	if (at == 0) {
		tree_prune(&s->tree, n);
		return -ENOMEM;
	}
	tree_node(&s->tree, n)->value = at;
	list_of(s, at)[count] = sub;
	*count_of(s, at) = count + 1;
	s->count++;
	changed(s, n);
	return SUBS_NEW;
}

bool subs_clear(struct subs *s, uint32_t node, uint32_t who)
{
	struct sub *gone = find(s, node, who);
	struct tree_node *n = tree_node(&s->tree, node);
	uint32_t count, at = n->value;

	if (!gone)
		return false;
	changed(s, node);
	count = *count_of(s, at);
	*gone = list_of(s, at)[count - 1];
	*count_of(s, at) = count - 1;
	s->count--;
	if (count == 1) {
		cells_free(&s->cells, at, 2);
		n->value = 0;
		tree_prune(&s->tree, node);
		return true;
	}
	at = cells_resize(&s->cells, at, 1 + count, count);
	if (at != 0) /* else it stays larger than it need be, which the next resize copes with */
		n->value = at;
	return true;
}

/* --- matching ----------------------------------------------------------------------------------------------- */

struct walk {
	const struct subs *s;
	subs_match_fn *fn;
	void *ctx;
	size_t depth;
	bool dollar;
	uint32_t steps;
	uint32_t level[TOPIC_MAX_LEVELS];
};

static void report(struct walk *w, uint32_t node)
{
	uint32_t count;
	const struct sub *list = subs_at(w->s, node, &count);

	for (uint32_t i = 0; i < count; i++)
		w->fn(w->ctx, node, &list[i]);
	w->steps += count;
}

/* At most two ways at each level, and no more nodes than there are subscriptions to find. */
static void walk(struct walk *w, uint32_t node, size_t at)
{
	const struct tree *t = &w->s->tree;
	const struct tree_node *n = tree_node(t, node);
	bool wild = at > 0 || !w->dollar; /* [MQTT-4.7.2-1] */
	uint32_t child;

	w->steps++;
	if (n->has_hash && wild)
		report(w, tree_child(t, node, LEVEL_HASH));
	if (at == w->depth) {
		report(w, node);
		return;
	}
	child = tree_child(t, node, w->level[at]);
	if (child != 0)
		walk(w, child, at + 1);
	if (n->has_plus && wild)
		walk(w, tree_child(t, node, LEVEL_PLUS), at + 1);
}

uint32_t subs_match(const struct subs *s, const char *topic, size_t len, subs_match_fn *fn, void *ctx)
{
	struct walk w = {.s = s, .fn = fn, .ctx = ctx, .dollar = topic[0] == '$'};

	w.depth = levels_split(s->tree.levels, topic, len, w.level);
	walk(&w, TREE_ROOT, 0);
	return w.steps;
}
