/* SPDX-License-Identifier: MIT */
/* filecheck.h - whether the files that a configuration names are there, and secrets are kept from others.
 *
 * Advice, no mistakes: a configuration may be checked on another machine than the one that it is for. What systemd hands
 * to the service (credential:NAME) is nowhere before the service runs, and is not looked for.
 */
#ifndef GATEWAY_FILECHECK_H
#define GATEWAY_FILECHECK_H

#include "gateway/schema.h"

void filecheck(const struct gateway_opts *o, struct key_report *report);

#endif
