/* SPDX-License-Identifier: MIT */
/* copies.h - `units: 1-15`: one entry for many devices of one kind.
 *
 * An entry NAME with `units` becomes an entry NAME-UNIT with `unit: UNIT` for each, all else the same; the key itself
 * is gone afterwards. Places stay those of the entry that was written.
 */
#ifndef CONFIG_COPIES_H
#define CONFIG_COPIES_H

#include "config/node.h"

/* Bound: entries that may be made in all, and the nodes of all of them. */
enum { COPIES_MAX = 5000, COPIES_MAX_NODES = 1000 * 1000 };
enum { COPIES_WRONG = 1 };

/* In every entry of the map `section` ("devices") of root. 0, COPIES_WRONG or -ENOMEM. */
int copies_expand(struct key_node *root, const char *section, struct arena *a, struct key_report *r);

#endif
