/* SPDX-License-Identifier: MIT */
#include "store/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GONE UINT32_MAX /* the place of an entry that was dropped again */

enum { FIRST_BYTES = 16 * 1024, FIRST_COUNT = 256 };

void gather_fini(struct gather *g)
{
	free(g->bytes);
	free(g->puts);
	free(g->drops);
	*g = (struct gather){0};
}

void gather_reset(struct gather *g, uint64_t first)
{
	g->first = first;
	g->len = g->put_count = g->drop_count = 0;
	g->live = g->live_bytes = 0;
	g->puts_done = g->drops_done = 0;
	g->touched = g->asked = false;
	g->since_us = g->asked_us = 0;
}

bool gather_is_empty(const struct gather *g)
{
	return g->live == 0 && g->drop_count == 0;
}

size_t gather_cost(const struct gather *g)
{
	return g->len + g->put_count * sizeof(*g->puts) + g->drop_count * sizeof(*g->drops);
}

static int reserve(void **at, size_t *cap, size_t need, size_t least, size_t size)
{
	size_t more = *cap ? 2 * *cap : least;
	void *fresh;

	if (need <= *cap)
		return 0;
	if (more < need)
		more = need;
	fresh = realloc(*at, more * size);
	if (!fresh)
		return -ENOMEM;
	*at = fresh;
	*cap = more;
	return 0;
}

/* What was dropped again gives its bytes back when that is most of them. */
static void squeeze(struct gather *g)
{
	size_t len = 0;

	for (size_t i = 0; i < g->put_count; i++) {
		struct gathered *p = &g->puts[i];

		if (p->at == GONE)
			continue;
		memmove(g->bytes + len, g->bytes + p->at, p->len);
		p->at = (uint32_t)len;
		len += p->len;
	}
	g->len = len;
}

int gather_put(struct gather *g, const struct span *parts, size_t count, size_t len)
{
	int r;

	if (g->len + len > g->cap && g->live_bytes < g->len / 2)
		squeeze(g);
	if (g->len + len >= GONE)
		return -ENOMEM;
	r = reserve((void **)&g->bytes, &g->cap, g->len + len, FIRST_BYTES, 1);
	if (r == 0)
		r = reserve((void **)&g->puts, &g->puts_cap, g->put_count + 1, FIRST_COUNT, sizeof(*g->puts));
	if (r < 0)
		return r;
	g->puts[g->put_count++] = (struct gathered){(uint32_t)g->len, (uint32_t)len};
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len > 0)
			memcpy(g->bytes + g->len, parts[i].at, parts[i].len);
		g->len += parts[i].len;
	}
	g->live++;
	g->live_bytes += len;
	g->touched = true;
	return 0;
}

int gather_drop(struct gather *g, uint64_t number)
{
	int r;

	g->touched = true;
	if (number >= g->first) {
		struct gathered *p = number - g->first < g->put_count ? &g->puts[number - g->first] : NULL;

		if (!p || p->at == GONE)
			return 0; /* never given out, or dropped before */
		p->at = GONE;
		g->live--;
		g->live_bytes -= p->len;
		return 0;
	}
	r = reserve((void **)&g->drops, &g->drops_cap, g->drop_count + 1, FIRST_COUNT, sizeof(*g->drops));
	if (r == 0)
		g->drops[g->drop_count++] = number;
	return r;
}

size_t gather_entries(const struct gather *g, size_t *at, struct folio_entry *out, size_t max)
{
	size_t n = 0;

	for (; *at < g->put_count && n < max; ++*at) {
		const struct gathered *p = &g->puts[*at];

		if (p->at != GONE)
			out[n++] = (struct folio_entry){g->first + *at, {g->bytes + p->at, p->len}};
	}
	return n;
}
