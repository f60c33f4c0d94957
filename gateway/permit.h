/* SPDX-License-Identifier: MIT */
/* permit.h - may this command be carried out, on this point, now? Pure. */
#ifndef GATEWAY_PERMIT_H
#define GATEWAY_PERMIT_H

#include "base/msg.h"
#include "drivers/opts.h"
#include "drivers/value.h"
#include "gateway/begun.h"

enum { PERMIT_REASON = 160 };

/* NULL, and its value: text is COMMAND_TEXT_MAX bytes that it may point into. Else why not: static, or in room. */
const char *permit_value(
	const struct point_opts *p, const struct msg *m, char *text, struct value *out, char room[PERMIT_REASON]);

/* One that an earlier process left: ENDING_NONE, it is carried out now; else what came of it. */
struct permit_found {
	const struct point_opts *point;
	struct begun_trace trace;
	bool of_other_boot, expired;
};
enum ending permit_found(const struct permit_found *f, const char **reason);

#endif
