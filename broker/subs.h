/* SPDX-License-Identifier: MIT */
/* subs.h - who wants which topics.
 *
 * Owner     broker thread.
 * Memory    per subscription 8 bytes here and 8 in a header per filter, besides the tree's nodes.
 * Change    every change moves a generation: subs_generation() of a topic's bucket differs from what it was if the set of
 *           matching subscriptions may have changed. Filters with a literal first level disturb only their share.
 */
#ifndef BROKER_SUBS_H
#define BROKER_SUBS_H

#include "broker/tree.h"

enum { SUBS_BUCKETS = 256 };

/* who: a session's index, a share group's, or a tap's. */
enum { SUB_GROUP = 0x40000000, SUB_TAP = (int)0x80000000, SUB_INDEX = 0x3fffffff };

struct sub {
	uint32_t who;
	uint32_t opts; /* subscription identifier << 4 | SUB_RAP | SUB_NO_LOCAL | qos */
};
enum { SUB_QOS = 3, SUB_NO_LOCAL = 4, SUB_RAP = 8, SUB_ID_SHIFT = 4 };

struct subs {
	struct tree tree;
	struct cells cells;
	uint64_t generation, of_first[SUBS_BUCKETS];
	uint32_t count;
};

int subs_init(struct subs *s, struct levels *levels);
void subs_fini(struct subs *s);

/* Sets who's subscription to the filter; *node is where it lives. SUBS_NEW, SUBS_REPLACED or -ENOMEM. */
enum { SUBS_REPLACED = 0, SUBS_NEW = 1 };
int subs_set(struct subs *s, const char *filter, size_t len, struct sub sub, uint32_t *node);
bool subs_clear(struct subs *s, uint32_t node, uint32_t who); /* was it there */
const struct sub *subs_at(const struct subs *s, uint32_t node, uint32_t *count);
const struct sub *subs_find(const struct subs *s, uint32_t node, uint32_t who); /* NULL: not there */

typedef void subs_match_fn(void *ctx, uint32_t node, const struct sub *sub);
uint32_t subs_match(const struct subs *s, const char *topic, size_t len, subs_match_fn *fn, void *ctx); /* its steps */
uint32_t subs_bucket(const char *topic, size_t len); /* the share of the filters that a topic's first level is in */
static inline uint64_t subs_generation(const struct subs *s, uint32_t bucket)
{
	return s->generation + s->of_first[bucket];
}
void subs_invalidate(struct subs *s); /* something else that routes depend on has changed */

#endif
