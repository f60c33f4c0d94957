/* SPDX-License-Identifier: MIT */
/* sections.h - the key tables below one, each once, with the path that leads to it: what a page of reference is made
 * of.
 */
#ifndef CONFIG_SECTIONS_H
#define CONFIG_SECTIONS_H

#include "config/key.h"

enum { SECTIONS_MAX = 64, SECTIONS_PATH_CAP = 128 };

/* A table, and where it is first met: "devices.NAME.points.NAME"; "" for the first. */
struct section {
	const struct key_table *table;
	char path[SECTIONS_PATH_CAP];
};

struct sections {
	struct section list[SECTIONS_MAX];
	size_t count;
};

/* Depth first, so that a section stands near the one that leads to it. 0, or -E2BIG past the bounds. */
int sections_collect(struct sections *s, const struct key_table *table);
const char *sections_path(const struct sections *s, const struct key_table *table);

/* "whole number", "list of texts"; what a reader calls the type of k. */
const char *sections_type(const struct key *k);

#endif
