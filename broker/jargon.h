/* SPDX-License-Identifier: MIT */
/* jargon.h - the words of other brokers for what a broker, its listeners and its rules have, and what to write here.
 *
 * Rows of a key table's `jargon`; immutable.
 */
#ifndef BROKER_JARGON_H
#define BROKER_JARGON_H

#include "config/key.h"

extern const struct key_jargon broker_jargon[], listener_jargon[];
extern const struct key_jargon protocol_jargon[], right_jargon[];

#endif
