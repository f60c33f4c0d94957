/* SPDX-License-Identifier: MIT */
/* block.h - records that were committed together, packed into the one blob of a database row.
 *
 * Why       a row per record costs each record twice more on its way out: emptied pages are written to the WAL and
 *           again by the checkpoint. The overflow pages of a blob are freed without being written at all.
 * Layout    u8 format, i64 base time, u32 boot; then per record: u32 length, u32 sum, body. Little endian. Times and
 *           seqs are relative to the block and not to the record before, and each body has a sum of its own (seeded
 *           with what stands in front), so a damaged record costs itself, and at worst those whose topic it
 *           spelled out. A topic is spelled out where it first occurs in the block, less what it shares with the
 *           topic spelled out before it; later records name it by number. A block needs nothing outside of itself
 *           to be read.
 * Body      u16 flags; varint seq - first; varint topic number from 1; [varint shared, varint rest, bytes]; zigzag
 *           wall - base; varint origin id; [varint props length, props]; [varint expiry, zigzag taken - wall];
 *           [varint target]; [zigzag mono]; the payload is what is left. The flags say which of the bracketed are
 *           there.
 * Formats   2 is written. 1, without boot and mono, is read.
 * Owner     none: pure, no locks, no clock.
 * Memory    a writer holds its bytes and topics; an iterator points into the caller's bytes and holds the names.
 * Outcomes  BLOCK_FULL: the record belongs into the next block. BLOCK_END: no more records. BLOCK_DAMAGED: a record
 *           was skipped; go on.
 */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include "base/cursor.h"
#include "base/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a block with more than one record: with the row's head it fills sixteen overflow pages and the
 * least that SQLite keeps in the leaf, so that eight or nine rows share a leaf page. */
enum { BLOCK_BYTES = 16 * 4092 + 489 - 40, BLOCK_RECORDS = 4096, BLOCK_TOPICS = 1024 };

enum { BLOCK_FULL = 1, BLOCK_END = 2, BLOCK_DAMAGED = 3 };

struct block_record {
	uint64_t seq;
	struct span topic, props, payload;
	int64_t wall_ms;       /* by its source */
	int64_t taken_wall_ms; /* when weir got it; only kept when the message expires */
	uint32_t origin_id;
	uint32_t expiry_s; /* MSG_NEVER_EXPIRES */
	uint32_t target;   /* a replay for this upstream alone; valid when replay is set */
	uint8_t qos, class, origin;
	bool retain;
	bool gap; /* payload is a gap, see gap.h */
	bool replay;
	bool unsynced;  /* wall_ms comes from a clock that was not trusted; mono_ms says when it was by the other one */
	bool restamped; /* wall_ms was derived from that, when the clock had become right */
	bool thinned;   /* records between those of this topic that are left were dropped */
	uint32_t boot;  /* store/trust.h; 0: not known. The same for all records of a block */
	int64_t mono_ms;
};

/* What stands beside the blob in its row. */
struct block_head {
	uint64_t first, last;
	uint16_t count[4]; /* records of each class; gaps are not counted */
	bool gaps;
	int64_t from_ms, to_ms; /* least and greatest wall time */
	uint32_t boot;
};

struct block_topic {
	uint64_t hash;
	uint32_t at;
	uint16_t len; /* 0: not known, the record that spelled it out is damaged */
};

/* Being filled. */
struct block {
	uint8_t *bytes;
	size_t len, cap;
	struct block_head head;
	unsigned records;
	char *names; /* of the topics, one behind the other */
	size_t names_len, names_cap;
	struct block_topic topics[BLOCK_TOPICS];
	unsigned topic_count;
	uint16_t slots[2 * BLOCK_TOPICS]; /* by hash; 0: free, else number of the topic */
};

int block_new(struct block **out);
void block_free(struct block *b); /* NULL is fine */
void block_reset(struct block *b);
/* Seqs must ascend. first: of the block, at or below r->seq; only looked at when the block is empty. A record of any
 * size fits into an empty block. 0, BLOCK_FULL or -ENOMEM. */
int block_add(struct block *b, const struct block_record *r, uint64_t first);

/* The counts of the classes in 16 bits each, as the row keeps them. */
static inline uint64_t block_classes(const struct block_head *h)
{
	return h->count[0] | (uint64_t)h->count[1] << 16 | (uint64_t)h->count[2] << 32 | (uint64_t)h->count[3] << 48;
}

struct block_iter {
	struct cursor c;
	uint64_t first;
	int64_t base_ms;
	uint32_t boot;
	uint8_t format;
	char *names;
	size_t names_len, names_cap;
	struct block_topic *topics;
	unsigned topic_count;
	size_t search; /* bytes that may still be summed in looking for the next record */
};

/* first as in the row. 0, -EBADMSG when it is no block of ours, -ENOMEM. Bytes must stay until block_iter_fini(). */
int block_iter_init(struct block_iter *it, const void *bytes, size_t len, uint64_t first);
void block_iter_fini(struct block_iter *it); /* zeroed is fine */
/* 0 with a record whose spans are valid until the next call; BLOCK_END; BLOCK_DAMAGED; -ENOMEM. */
int block_next(struct block_iter *it, struct block_record *out);

#endif
