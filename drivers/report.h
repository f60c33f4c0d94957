/* SPDX-License-Identifier: MIT */
/* report.h - which readings of a point are told. Pure.
 *
 * A good value is told by report, deadband and max_age. Bad is told once, with the reason it began with, and the first
 * good value after it always; so is the first that is late, and the first that is not late any more.
 */
#ifndef DRIVERS_REPORT_H
#define DRIVERS_REPORT_H

#include "drivers/fold.h"
#include "drivers/opts.h"
#include "drivers/value.h"

struct report_state {
	bool told; /* anything since the start */
	bool bad, late;
	struct value last;    /* as told; of a text only its hash is kept, in u */
	int64_t told_ms;      /* monotonic */
	int64_t last_good_ms; /* wall; of the reading, told or not */
	struct fold *window;  /* owned; NULL: each reading by itself */
};

int report_init(struct report_state *s, const struct point_opts *p); /* 0 or -ENOMEM */
void report_fini(struct report_state *s);

bool report_good(struct report_state *s, const struct point_opts *p, const struct value *v, bool late, int64_t now_ms);
bool report_bad(struct report_state *s);

#endif
