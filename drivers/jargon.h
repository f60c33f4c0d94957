/* SPDX-License-Identifier: MIT */
/* jargon.h - the words of manuals and of other programs for what lines, devices and points have, and what to write here.
 */
#ifndef DRIVERS_JARGON_H
#define DRIVERS_JARGON_H

#include "config/key.h"

extern const struct key_jargon line_jargon[], device_jargon[], point_jargon[];
extern const struct key_jargon type_jargon[], order_jargon[], parity_jargon[];

#endif
