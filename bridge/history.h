/* SPDX-License-Identifier: MIT */
/* history.h - which records wait as the backlog while newer ones are sent beside it (order: live-first). Pure.
 *
 * Stretches of seq that were in the store when the link came up, oldest first, at most HISTORY_MAX of them. When there
 * is no room for another stretch the live lane walks it in order instead: later, and still nothing lost.
 */
#ifndef BRIDGE_HISTORY_H
#define BRIDGE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_MAX = 16 };

struct history {
	struct {
		uint64_t after, to;
	} stretch[HISTORY_MAX];
	size_t count;
};

static inline bool history_add(struct history *h, uint64_t after, uint64_t to)
{
	if (h->count == HISTORY_MAX)
		return false;
	h->stretch[h->count].after = after;
	h->stretch[h->count++].to = to;
	return true;
}

/* The stretch that was added with no end has one now. */
static inline void history_close(struct history *h, uint64_t to)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->stretch[i].to == UINT64_MAX)
			h->stretch[i].to = to;
}

static inline bool history_holds(const struct history *h, uint64_t seq)
{
	for (size_t i = 0; i < h->count; i++)
		if (seq > h->stretch[i].after && seq <= h->stretch[i].to)
			return true;
	return false;
}

/* Everything up to seq has been walked: stretches that lie before it are done. */
static inline void history_walked(struct history *h, uint64_t seq)
{
	size_t done = 0;

	while (done < h->count && h->stretch[done].to <= seq)
		done++;
	h->count -= done;
	for (size_t i = 0; i < h->count; i++)
		h->stretch[i] = h->stretch[i + done];
}

#endif
