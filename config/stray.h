/* SPDX-License-Identifier: MIT */
/* stray.h - keys, names and values that have no business where they stand, and where they probably belong.
 *
 * Pure but for the report. Those that are bool return false when they reported a mistake.
 */
#ifndef CONFIG_STRAY_H
#define CONFIG_STRAY_H

#include "config/node.h"

/* Every key of n is one of table's. root: where else a key may be looked for. */
bool stray_check_keys(
	struct key_report *r, const struct key_table *root, const struct key_table *table, const struct key_node *n);
/* The misspelled key of n that was told to mean this one; NULL: none. */
const struct key_node *stray_stand_in(const struct key_table *table, const struct key_node *n, const struct key *key);
/* n is an entry of a map of table: its key is a name, not a key of table or of root that slid out of its place. NULL, or
 * after a report the last of the entries that it was about. */
const struct key_node *stray_name(
	struct key_report *r, const struct key_table *root, const struct key_table *table, const struct key_node *n);
/* n is a text or a list where the keys of table should be. */
bool stray_not_a_map(struct key_report *r, const struct key_table *table, const struct key_node *n);

#endif
