/* SPDX-License-Identifier: MIT */
/* generation.h - one loaded configuration, alive as long as something runs by it.
 *
 * Owner     main thread. A line that a reload left untouched goes on with the generation it was started from, so
 *           several may live at once; each goes when its last user stops.
 */
#ifndef GATEWAY_GENERATION_H
#define GATEWAY_GENERATION_H

#include "gateway/schema.h"

struct generation {
	struct gateway_opts *opts;
	struct generation *fixed; /* which its fixed part is of; NULL: it is its own */
	unsigned refs;
};

int generation_new(struct generation **out, struct gateway_opts *opts); /* takes opts when it returns 0 */
/* What only a start can change (gateway_fixed_text()) stays in g as it is in `running`. */
void generation_keep_fixed(struct generation *g, struct generation *running);
struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation *g); /* NULL is fine */

#endif
