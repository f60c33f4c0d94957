/* SPDX-License-Identifier: MIT */
#include "broker/ration.h"

#include "broker/core.h"
#include "broker/sublist.h"

/* STEP: what a session counts its subscriptions in. SUB_COSTS: its place in the node and in the session. LEVEL_COSTS: a
 * node, its slot, a level and its slot. */
enum { STEP = 64, SUB_COSTS = 32, LEVEL_COSTS = 36 };

bool ration_has(const struct broker *b, size_t bytes)
{
	return b->rationed + bytes <= (uint64_t)b->opts.session_memory;
}

void ration_take(struct broker *b, size_t bytes)
{
	b->rationed += bytes;
}

void ration_give(struct broker *b, size_t bytes)
{
	b->rationed -= bytes;
}

static uint32_t steps_of(struct span group, struct span filter)
{
	size_t bytes = SUB_COSTS + LEVEL_COSTS + group.len + filter.len;

	for (size_t i = 0; i < filter.len; i++)
		bytes += filter.at[i] == '/' ? LEVEL_COSTS : 0;
	return (uint32_t)((bytes + STEP - 1) / STEP);
}

bool ration_has_sub(const struct session *s, struct span group, struct span filter)
{
	const struct broker *b = s->broker;
	uint64_t bytes = (uint64_t)steps_of(group, filter) * STEP, own = (uint64_t)sublist_steps(s) * STEP + bytes;

	return ration_has(b, bytes) && own <= (uint64_t)b->opts.session_memory - b->rationed - bytes;
}

void ration_take_sub(struct session *s, struct span group, struct span filter)
{
	uint32_t steps = steps_of(group, filter);

	s->subs->steps += steps;
	ration_take(s->broker, (size_t)steps * STEP);
}

void ration_give_sub(struct session *s, struct span group, struct span filter)
{
	uint32_t steps = steps_of(group, filter);

	s->subs->steps -= steps;
	ration_give(s->broker, (size_t)steps * STEP);
}

void ration_give_subs(struct session *s)
{
	ration_give(s->broker, (size_t)sublist_steps(s) * STEP);
	if (s->subs)
		s->subs->steps = 0;
}
