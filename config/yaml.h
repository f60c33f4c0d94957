/* SPDX-License-Identifier: MIT */
/* yaml.h - YAML text to a tree (node.h).
 *
 * Reads one document. Aliases are copied in; keys given twice, a second document, merge keys (<<), tags, keys that
 * are not text, and NUL are mistakes with a place, reported side by side. libyaml ends at the first mistake of syntax:
 * the line that it is in is then taken out (mend.h) and the text read again, so that those behind it are told, too.
 *
 * Untrusted input: bounded in bytes, depth, nodes and copies; time is linear in the bytes.
 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "base/arena.h"
#include "config/node.h"

enum {
	YAML_MAX_BYTES = 16 * 1024 * 1024,
	YAML_MAX_NODES = 1000 * 1000,
	YAML_MAX_COPIES = 100 * 1000, /* nodes made by aliases */
	YAML_MAX_ANCHORS = 1000,
	YAML_MAX_TEARS = 20,          /* mistakes of syntax that are told */
	YAML_MAX_AGAIN = 1024 * 1024, /* bytes that are read again for them */
};

/* Outcomes. WRONG: mistakes were reported and the tree is whole but for what they touch (key_node.bad). BROKEN: *out is
 * NULL, or lacks what could not be read. file is copied. An empty text is an empty map. 0, an outcome
 * or -ENOMEM. */
enum { YAML_WRONG = 1, YAML_BROKEN = 3 };
int yaml_read(
	struct key_node **out, struct arena *a, struct key_report *r, const char *file, const void *text, size_t len);

#endif
