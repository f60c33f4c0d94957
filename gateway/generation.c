/* SPDX-License-Identifier: MIT */
#include "gateway/generation.h"

#include <errno.h>
#include <stdlib.h>

int generation_new(struct generation **out, struct gateway_opts *opts)
{
	struct generation *g = malloc(sizeof(*g));

	if (!g)
		return -ENOMEM;
	*g = (struct generation){opts, 1};
	*out = g;
	return 0;
}

struct generation *generation_ref(struct generation *g)
{
	g->refs++;
	return g;
}

void generation_unref(struct generation *g)
{
	if (!g || --g->refs > 0)
		return;
	gateway_opts_free(g->opts);
	free(g);
}
