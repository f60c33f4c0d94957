/* SPDX-License-Identifier: MIT */
/* bind.h - a tree into structs, by key tables; every mistake in one run.
 *
 * Owner     one thread.
 * Memory    lists, maps and defaults are the arena's, texts stay where the tree has them.
 *
 * Order within a struct: keys that always apply, then those that ask (their applies() sees the former), then the
 * table's check(), if all of its keys were fine. What is nested is bound and checked before what holds it. A nested
 * table that nobody wrote has its defaults, no check, and a head whose mark has no file.
 */
#ifndef CONFIG_BIND_H
#define CONFIG_BIND_H

#include "base/arena.h"
#include "config/node.h"

/* Outcomes. WRONG: mistakes were reported; item is filled where it could be. */
enum { BIND_WRONG = 1 };

/* item: table->size bytes. root: a map, or an empty scalar as an empty file gives it. 0, BIND_WRONG or -ENOMEM. */
int bind_tree(
	void *item, const struct key_table *table, const struct key_node *root, struct arena *a, struct key_report *r);
/* The same of a tree that lacks parts: tells what is wrong in itself, and nothing of what is missing or does not fit
 * together. item is not to be used. */
int bind_broken(
	void *item, const struct key_table *table, const struct key_node *root, struct arena *a, struct key_report *r);
/* As if nobody had written anything: no key is asked for, nothing is checked. WRONG: a default that its own key would
 * refuse. */
int bind_defaults(void *item, const struct key_table *table, struct arena *a, struct key_report *r);

#endif
