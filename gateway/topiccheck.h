/* SPDX-License-Identifier: MIT */
/* topiccheck.h - what topics the points get, and whether the rules of upstreams make sense of them. */
#ifndef GATEWAY_TOPICCHECK_H
#define GATEWAY_TOPICCHECK_H

#include "base/arena.h"
#include "gateway/schema.h"

/* After devices were joined to their lines. 0 or -ENOMEM; what it found is in the report. */
int topiccheck(const struct gateway_opts *o, struct arena *a, struct key_report *report);

#endif
