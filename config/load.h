/* SPDX-License-Identifier: MIT */
/* load.h - files to a tree: one, or a main file with its conf.d beside it.
 *
 * A file that cannot be read is a mistake like any other, told in the report. Only regular files are read by path.
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/node.h"

/* Outcomes. WRONG: mistakes were reported, the tree can still be bound to find more. BROKEN: it lacks parts that may be
 * in the file, so that what is missing from it means nothing. */
enum { LOAD_WRONG = 1, LOAD_BROKEN = 3 };

/* *out is a map in each case but -ENOMEM: what could be read. */
int load_file(struct key_node **out, struct arena *a, struct key_report *r, const char *path);
/* name: what the descriptor is called in sentences. Reads to its end; the caller closes it. */
int load_fd(struct key_node **out, struct arena *a, struct key_report *r, int fd, const char *name);

/* path, and every conf.d/NAME.yaml beside it in order of name, joined. */
int load_site(struct key_node **out, struct arena *a, struct key_report *r, const char *path);

/* name in the directory of path: "conf.d" beside "/etc/weir/weir.yaml". NULL: no memory. */
char *load_beside(struct arena *a, const char *path, const char *name);

#endif
