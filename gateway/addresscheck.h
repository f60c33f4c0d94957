/* SPDX-License-Identifier: MIT */
/* addresscheck.h - whether two want one address, or one client id at a server, and whether the gateway calls itself. */
#ifndef GATEWAY_ADDRESSCHECK_H
#define GATEWAY_ADDRESSCHECK_H

#include "gateway/schema.h"

void addresscheck(const struct gateway_opts *o, struct key_report *report);

#endif
