/* SPDX-License-Identifier: MIT */
#include "drivers/ahead.h"

#include <string.h>

void ahead_clear(struct ahead *a)
{
	a->count = a->next_count = 0;
}

static bool same(const struct request *a, const struct request *b)
{
	return a->unit == b->unit && a->function == b->function && a->address == b->address && a->count == b->count;
}

struct ahead_sent *ahead_find(struct ahead *a, const struct request *q)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->list[i].wanted && same(&a->list[i].request, q))
			return &a->list[i];
	return NULL;
}

void ahead_drop(struct ahead *a, struct ahead_sent *s)
{
	size_t at = (size_t)(s - a->list);

	a->count--;
	memmove(s, s + 1, (a->count - at) * sizeof(*s));
}

void ahead_add(struct ahead *a, const struct request *q, uint16_t number, int64_t now_us)
{
	bool behind = false;

	if (a->count == AHEAD_MAX)
		ahead_drop(a, a->list);
	for (size_t i = 0; i < a->count; i++)
		behind = behind || a->list[i].len == 0;
	a->list[a->count++] = (struct ahead_sent){
		.request = *q, .number = number, .wanted = true, .behind = behind, .sent_us = now_us};
}

bool ahead_heard(struct ahead *a, uint16_t number, const uint8_t *frame, size_t len, int64_t first_us, int64_t done_us)
{
	struct ahead_sent *s = a->list, *end = a->list + a->count;

	while (s < end && s->number != number)
		s++;
	if (s == end || s->len > 0 || len > sizeof(s->frame))
		return false;
	a->heard_us = done_us;
	if (!s->wanted) {
		ahead_drop(a, s);
		return true;
	}
	memcpy(s->frame, frame, len);
	s->len = len;
	s->first_us = first_us;
	s->done_us = done_us;
	return true;
}

void ahead_forget(struct ahead *a, int64_t before_us)
{
	for (size_t i = a->count; i-- > 0;) {
		struct ahead_sent *s = &a->list[i];

		if (s->sent_us >= before_us)
			continue;
		s->wanted = false;
		if (s->len > 0)
			ahead_drop(a, s);
	}
}
