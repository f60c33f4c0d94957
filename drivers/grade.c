/* SPDX-License-Identifier: MIT */
#include "drivers/grade.h"

enum { MEMORY = 100, FEW = 50, WHOLE = 1000000, MARGINAL_BELOW = 950, SOUND_FROM = 983 };

bool grade_add(struct grade *g, enum grade_event event)
{
	static const int64_t weights[] = {[GRADE_SOUND] = 0, [GRADE_MISSING] = WHOLE / 3, [GRADE_DAMAGED] = WHOLE};
	bool before = g->marginal;
	unsigned now;

	g->lost += (weights[event] - g->lost) / MEMORY;
	g->events += g->events < FEW;
	now = grade_permille(g);
	if (g->events == FEW)
		g->marginal = before ? now < SOUND_FROM : now < MARGINAL_BELOW;
	return g->marginal != before;
}

unsigned grade_permille(const struct grade *g)
{
	return (unsigned)(GRADE_FULL - g->lost / (WHOLE / GRADE_FULL));
}
