/* SPDX-License-Identifier: MIT */
/* template.h - `template: acme-tc4`: the keys of a template below those of the entry that names it.
 *
 * A template is an entry of the map `templates`, or a file templates/NAME.yaml beside the configuration. Its keys
 * stand where the entry has none of its own; maps (the points, and each point) are joined. Places stay those of the
 * file where a value was written. The key `template` itself is gone afterwards: what is printed of an entry is whole.
 */
#ifndef CONFIG_TEMPLATE_H
#define CONFIG_TEMPLATE_H

#include "config/node.h"

/* Bound: nodes that templates may add in all. */
enum { TEMPLATE_MAX_NODES = 1000 * 1000 };
enum { TEMPLATE_WRONG = 1 };

/* Applies templates to every entry of the map `section` ("devices") of root. path: of the configuration. */
int template_apply(struct key_node *root, const char *section, const char *path, struct arena *a, struct key_report *r);

#endif
