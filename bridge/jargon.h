/* SPDX-License-Identifier: MIT */
/* jargon.h - the words of other bridges for what an upstream has, and what to write here.
 *
 * Rows of a key table's `jargon`; immutable.
 */
#ifndef BRIDGE_JARGON_H
#define BRIDGE_JARGON_H

#include "config/key.h"

extern const struct key_jargon upstream_jargon[], rule_jargon[];

#endif
