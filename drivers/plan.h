/* SPDX-License-Identifier: MIT */
/* plan.h - which blocks to read so that the wanted values cost the least time on the wire.
 *
 * Pure. Dynamic programming over the values in order of address: a block is a run of neighbours, and reading a hole
 * along is right exactly when its characters cost less than one more request does. Values are never cut, since a
 * block ends where values end. A value by itself is read whatever the limits say, and what lies within it with it.
 * Memory    plan_make() allocates 24 bytes per value while it works.
 */
#ifndef DRIVERS_PLAN_H
#define DRIVERS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a transaction costs: microseconds on the wire and beside it. */
struct plan_cost {
	double char_us;       /* one character; 0: the transport has no pace of its own (TCP) */
	double silence_us;    /* 3.5 characters, paid before the request and before the reply */
	double turnaround_us; /* from the end of the request to the begin of the reply, less the silence */
	unsigned request_chars, reply_chars; /* without data: 8 and 5 for RTU */
	bool bits;                           /* eight to a character; else registers, two characters each */
};

struct plan_span {
	uint32_t first, last; /* addresses, both included */
};

struct plan_limits {
	unsigned max_count;            /* addresses in one request */
	int64_t max_hole;              /* addresses in a row that no value has; -1: no limit */
	double max_block_us;           /* 0: no limit; a single value may pass it */
	const struct plan_span *avoid; /* must not be read along; a value in it is read alone */
	size_t avoid_count;
	const uint32_t *edges; /* no block holds both this address and the one before it */
	size_t edge_count;
};

struct plan_block {
	uint32_t first, count; /* addresses */
	size_t from, to;       /* values [from, to) of the list */
};

double plan_block_us(const struct plan_cost *cost, uint32_t count);

/* values: sorted by first, of two that begin alike the longer first. blocks: room for value_count. The number of
 * blocks, or -ENOMEM. */
int plan_make(const struct plan_span *values, size_t value_count, const struct plan_cost *cost,
	const struct plan_limits *limits, struct plan_block *blocks);

#endif
