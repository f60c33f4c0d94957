/* SPDX-License-Identifier: MIT */
/* peek.h - what a payload says: whether it is JSON, and the value and quality in it. Pure.
 *
 * A reading is a number as it stands, or an object with a member "v"; "q" beside it is its quality. Only members of the
 * outermost object count, the first where a name comes twice. Nothing is copied: spans point into the payload.
 */
#ifndef BRIDGE_PEEK_H
#define BRIDGE_PEEK_H

#include "base/cursor.h"

#include <stdbool.h>

enum { PEEK_DEPTH = 32 }; /* nested deeper it counts as text */

struct peek {
	bool json;              /* all of it is one JSON value, in UTF-8 */
	bool number;            /* it is a reading with a finite number: */
	double value;           /* this one */
	struct span v, quality; /* as they stand, the quality without its quotes; empty where there is none */
};

void peek(struct peek *out, const void *payload, size_t len);

#endif
