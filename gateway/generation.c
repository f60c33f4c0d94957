/* SPDX-License-Identifier: MIT */
#include "gateway/generation.h"

#include <errno.h>
#include <stdlib.h>

int generation_new(struct generation **out, struct gateway_opts *opts)
{
	struct generation *g = malloc(sizeof(*g));

	if (!g)
		return -ENOMEM;
	*g = (struct generation){.opts = opts, .refs = 1};
	*out = g;
	return 0;
}

void generation_keep_fixed(struct generation *g, struct generation *running)
{
	gateway_keep_fixed(g->opts, running->opts);
	g->fixed = generation_ref(running->fixed ? running->fixed : running);
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
	generation_unref(g->fixed);
	free(g);
}
