/* SPDX-License-Identifier: MIT */
/* overlapcheck.h - points of a device that begin within the registers of another: mostly a float32 whose neighbour was
 * counted as if it took one register.
 */
#ifndef GATEWAY_OVERLAPCHECK_H
#define GATEWAY_OVERLAPCHECK_H

#include "base/arena.h"
#include "config/key.h"

struct device_opts;

int overlapcheck(const struct device_opts *d, struct arena *a, struct key_report *report); /* 0 or -ENOMEM */

#endif
