/* SPDX-License-Identifier: MIT */
/* bucket.h - so many a second: records, bytes. Pure.
 *
 * A tenth of a second may be spent at once. What is spent may go into debt, so that something larger than the bucket
 * passes, and is then paid for by waiting.
 */
#ifndef BRIDGE_BUCKET_H
#define BRIDGE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	int64_t per_s;  /* 0: no limit */
	int64_t credit; /* thousandths */
	int64_t at_ms;
};

static inline bool bucket_allows(struct bucket *b, int64_t now_ms)
{
	int64_t most = b->per_s * 100;

	if (b->per_s == 0)
		return true;
	/* Not multiplied where it is more than enough: a link may have been idle for years. */
	if (b->at_ms == 0 || now_ms - b->at_ms > (most - b->credit) / b->per_s)
		b->credit = most;
	else
		b->credit += (now_ms - b->at_ms) * b->per_s;
	b->at_ms = now_ms;
	return b->credit > 0;
}

static inline void bucket_spend(struct bucket *b, int64_t n)
{
	if (b->per_s > 0)
		b->credit -= n * 1000;
}

/* When bucket_allows() will say yes. */
static inline int64_t bucket_due_ms(const struct bucket *b, int64_t now_ms)
{
	return b->credit > 0 ? now_ms : now_ms - b->credit / b->per_s + 1;
}

#endif
