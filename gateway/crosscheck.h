/* SPDX-License-Identifier: MIT */
/* crosscheck.h - what must hold between the parts of a configuration.
 *
 * Also joins devices to their lines. Runs on what could be bound, so that its mistakes are told in the same run as
 * those of single keys; entries that are wrong in themselves (key_head.wrong) are passed over where their members
 * would mislead.
 */
#ifndef GATEWAY_CROSSCHECK_H
#define GATEWAY_CROSSCHECK_H

#include "base/arena.h"
#include "gateway/schema.h"

/* 0 or -ENOMEM; what it found is in the report. */
int crosscheck(struct gateway_opts *o, struct arena *a, struct key_report *report);

#endif
