/* SPDX-License-Identifier: MIT */
#include "broker/share.h"

#include "broker/core.h"
#include "broker/sublist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void share_free(struct share *s)
{
	if (!s)
		return;
	free(s->name);
	free(s->members);
	free(s);
}

void shares_fini(struct shares *s)
{
	for (uint32_t i = 0; i < s->used; i++)
		share_free(s->all[i]);
	free(s->all);
	*s = (struct shares){0};
}

struct share *share_at(const struct broker *b, uint32_t share)
{
	return share < b->shares.used ? b->shares.all[share] : NULL;
}

static uint32_t find_at(struct broker *b, const char *name, size_t name_len, uint32_t node)
{
	uint32_t count;
	const struct sub *list = subs_at(&b->subs, node, &count);

	for (uint32_t i = 0; i < count; i++) {
		struct share *s;

		if (!(list[i].who & SUB_GROUP))
			continue;
		s = share_at(b, list[i].who & SUB_INDEX);
		if (s->name_len == name_len && memcmp(s->name, name, name_len) == 0)
			return list[i].who & SUB_INDEX;
	}
	return UINT32_MAX;
}

uint32_t share_find(struct broker *b, const char *name, size_t name_len, const char *filter, size_t len)
{
	uint32_t node = tree_find(&b->subs.tree, filter, len);

	return node != 0 ? find_at(b, name, name_len, node) : UINT32_MAX;
}

static uint32_t free_place(struct shares *t)
{
	struct share **all;
	uint32_t cap = t->cap > 0 ? t->cap * 2 : 8;

	for (uint32_t i = 0; i < t->used && t->count < t->used; i++)
		if (!t->all[i])
			return i;
	if (t->used < t->cap)
		return t->used++;
	all = realloc(t->all, cap * sizeof(struct share *));
	if (!all)
		return UINT32_MAX;
	t->all = all;
	t->cap = cap;
	return t->used++;
}

static int make(struct broker *b, const char *name, size_t name_len, const char *filter, size_t len, uint32_t *out)
{
	struct shares *t = &b->shares;
	uint32_t at = free_place(t);
	struct share *s = at != UINT32_MAX ? calloc(1, sizeof(*s)) : NULL;
	int r;

	if (at == UINT32_MAX)
		return -ENOMEM;
	t->all[at] = NULL;
	if (!s)
		return -ENOMEM;
	s->name = span_text((struct span){(const uint8_t *)name, name_len});
	s->name_len = (uint32_t)name_len;
	r = s->name ? subs_set(&b->subs, filter, len, (struct sub){.who = SUB_GROUP | at}, &s->node) : -ENOMEM;
	if (r < 0) {
		share_free(s);
		return r;
	}
	t->all[at] = s;
	t->count++;
	*out = at;
	return 0;
}

static int join(struct share *s, struct sub member)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (s->members[i].who == member.who) {
			s->members[i] = member;
			return SUBS_REPLACED;
		}
	}
	if (s->count == s->cap) {
		uint32_t cap = s->cap > 0 ? s->cap * 2 : 4;
		struct sub *more = realloc(s->members, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->members = more;
		s->cap = cap;
	}
	s->members[s->count++] = member;
	return SUBS_NEW;
}

static void remove_if_empty(struct broker *b, uint32_t at)
{
	struct share *s = b->shares.all[at];

	if (s->count > 0)
		return;
	subs_clear(&b->subs, s->node, SUB_GROUP | at);
	share_free(s);
	b->shares.all[at] = NULL;
	b->shares.count--;
}

int share_join(struct broker *b, const char *name, size_t name_len, const char *filter, size_t len, struct sub member)
{
	uint32_t at = share_find(b, name, name_len, filter, len);
	struct session *session = sessions_at(&b->sessions, member.who);
	int r = at == UINT32_MAX ? make(b, name, name_len, filter, len, &at) : 0;

	if (r < 0)
		return r;
	r = join(b->shares.all[at], member);
	if (r == SUBS_NEW && sublist_add(session, SUB_GROUP | at) < 0) {
		b->shares.all[at]->count--;
		r = -ENOMEM;
	}
	if (r < 0)
		remove_if_empty(b, at);
	return r;
}

bool share_leave(struct broker *b, uint32_t share, uint32_t who)
{
	struct share *s = share_at(b, share);

	for (uint32_t i = 0; s && i < s->count; i++) {
		if (s->members[i].who != who)
			continue;
		s->members[i] = s->members[--s->count];
		remove_if_empty(b, share);
		return true;
	}
	return false;
}

/* How good a receiver it is now: 0 not at all. */
static int rank(const struct session *s)
{
	if (!s->conn || s->conn->doomed)
		return session_persists(s) ? 1 : 0;
	return conn_choked(s->conn) || (s->queue && s->queue->acked.count > 0) ? 2 : 3;
}

struct session *share_choose(
	struct broker *b, struct share *s, const struct session *not_to, struct span topic, struct sub *sub)
{
	struct session *best = NULL;
	int best_rank = 0;
	uint32_t best_at = 0;

	for (uint32_t i = 0; i < s->count && best_rank < 3; i++) {
		uint32_t at = (s->turn + i) % s->count;
		struct session *one = sessions_at(&b->sessions, s->members[at].who);
		int r = one != not_to ? rank(one) : 0;

		if (r > best_rank && rights_read(one, (const char *)topic.at, topic.len)) {
			best = one;
			best_rank = r;
			best_at = at;
		}
	}
	if (!best)
		return NULL;
	*sub = s->members[best_at];
	s->turn = best_at + 1;
	return best;
}
