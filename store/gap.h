/* SPDX-License-Identifier: MIT */
/* gap.h - what is told in the place of records that are gone.
 *
 * A gap stands in the log as a record: packed by gap_pack(), with the seq of the last record that it stands for. It is
 * sent upstream as JSON. Between its first and last seq there may be records that are still there: count says how many
 * are not.
 * Owner     none: pure.
 * Bounds    GAP_TOPICS topics by name; more_topics says that there were others.
 */
#ifndef STORE_GAP_H
#define STORE_GAP_H

#include "store/block.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GAP_TOPICS = 12, GAP_NAMES = 1200, GAP_PACKED_MAX = GAP_NAMES + 200, GAP_JSON_MAX = 6 * GAP_NAMES + 1024 };

enum gap_reason {
	GAP_EVICTED, /* the bound of the disk was reached */
	GAP_DAMAGED, /* the file was damaged */
	GAP_THINNED, /* the bound was near: of each bucket of time some stay */
};

struct gap {
	enum gap_reason reason;
	uint64_t first, last;
	uint64_t count; /* records; 0: not known how many */
	uint64_t classes[4];
	int64_t from_ms, to_ms; /* by their sources; from > to: not known */
	struct gap_topic {
		uint16_t at, len;
	} topics[GAP_TOPICS];
	unsigned topic_count;
	bool more_topics;
	size_t names_len;
	char names[GAP_NAMES];
};

void gap_init(struct gap *g, enum gap_reason reason);
/* One record more: a seq at or above those before it. */
void gap_add(struct gap *g, uint64_t seq, unsigned class, int64_t wall_ms, struct span topic);
void gap_merge(struct gap *g, const struct gap *other); /* one reason wins: damage, then eviction */

size_t gap_pack(const struct gap *g, uint8_t out[GAP_PACKED_MAX]);
/* The gap as a record of the log, in the place of the last record that it stands for; packed must stay. */
struct block_record gap_record(
	const struct gap *g, uint8_t packed[GAP_PACKED_MAX], uint64_t seq, const char *topic, int64_t wall_ms);
int gap_unpack(struct gap *g, struct span packed);           /* 0 or -EBADMSG */
size_t gap_json(const struct gap *g, char *out, size_t cap); /* its length; 0: it did not fit */

#endif
