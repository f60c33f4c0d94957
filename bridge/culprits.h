/* SPDX-License-Identifier: MIT */
/* culprits.h - topics of which the upstream would not have a record, so that the next of the topic needs less proof. Pure.
 *
 * Memory    CULPRITS sums of topics; of more than that the oldest are forgotten, and have to be found again.
 */
#ifndef BRIDGE_CULPRITS_H
#define BRIDGE_CULPRITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CULPRITS = 64 };

/* Zeroed there are none. */
struct culprits {
	uint32_t at[CULPRITS]; /* 0: nobody */
	size_t next;
};

static inline bool culprits_has(const struct culprits *c, uint32_t topic)
{
	for (size_t i = 0; i < CULPRITS && i < c->next; i++)
		if (c->at[i] == topic)
			return true;
	return false;
}

static inline void culprits_add(struct culprits *c, uint32_t topic)
{
	if (!culprits_has(c, topic))
		c->at[c->next++ % CULPRITS] = topic;
}

/* The upstream has taken one of that topic. */
static inline void culprits_drop(struct culprits *c, uint32_t topic)
{
	for (size_t i = 0; i < CULPRITS && i < c->next; i++)
		if (c->at[i] == topic)
			c->at[i] = 0;
}

#endif
