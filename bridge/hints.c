/* SPDX-License-Identifier: MIT */
#include "bridge/hints.h"

bool hints_refused(struct hints *h, uint8_t code, int64_t now_ms, uint64_t *untold)
{
	*untold = h->untold;
	if (code == h->code && now_ms - h->told_ms < HINTS_QUIET_MS) {
		h->untold++;
		return false;
	}
	h->code = code;
	h->told_ms = now_ms;
	h->untold = 0;
	return true;
}

void hints_up(struct hints *h, int64_t now_ms)
{
	h->was_up = true;
	h->up_ms = now_ms;
}

bool hints_down(struct hints *h, int64_t now_ms)
{
	if (h->was_up)
		h->short_lives = now_ms - h->up_ms < HINTS_SHORT_MS ? h->short_lives + 1 : 0;
	h->was_up = false;
	return h->short_lives >= HINTS_SHORT_LIVES;
}
