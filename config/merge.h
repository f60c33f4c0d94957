/* SPDX-License-Identifier: MIT */
/* merge.h - several trees into one, and one key instead of two.
 *
 * Owner     one thread. Trees that go in are used up: their nodes move, with the places they stand at.
 */
#ifndef CONFIG_MERGE_H
#define CONFIG_MERGE_H

#include "config/node.h"

enum { MERGE_WRONG = 1 };

/* Files side by side: maps are joined at every level; a key that both have is a mistake that names both places.
 * 0, MERGE_WRONG or -ENOMEM. */
int merge_join(struct key_node *into, struct key_node *from_take, struct arena *a, struct key_report *r);

/* Within one map: of keys that are given twice the first stays, the others are mistakes. 0, MERGE_WRONG or -ENOMEM. */
int merge_twins(struct key_node *map, struct arena *a, struct key_report *r);

/* A template below what uses it: maps are joined at every level; where both have a key, over's value stands. over then
 * holds all of it and keeps its own place. 0 or -ENOMEM. */
int merge_under(struct key_node *over, struct key_node *base_take, struct arena *a);

#endif
