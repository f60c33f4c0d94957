/* SPDX-License-Identifier: MIT */
/* sharewrite.h - what a client of a `share:` wrote, told as commands are (gateway/audit.h). Pure. */
#ifndef GATEWAY_SHAREWRITE_H
#define GATEWAY_SHAREWRITE_H

#include "drivers/errand.h"
#include "gateway/share.h"

/* e: a relay that is done, of a request that writes; from: the client's address. */
void sharewrite_tell(
	const struct share_sink *sink, const struct line_opts *l, const struct errand *e, const char *from);

/* The place of the unit in the line's list; device_count: it is in no map. */
size_t sharewrite_device(const struct line_opts *l, uint8_t unit);

#endif
