/* SPDX-License-Identifier: MIT */
/* levels.h - the levels of topics, each text kept once and known by a number.
 *
 * Owner     broker thread.
 * Memory    per distinct level its text rounded up, 16 bytes and a slot of the hash table; counted references.
 */
#ifndef BROKER_LEVELS_H
#define BROKER_LEVELS_H

#include "base/topic.h"
#include "broker/cells.h"

#include <stdint.h>

/* LEVEL_NONE: a level that nobody has ever kept, so nothing literal can match it. */
enum { LEVEL_NONE = 0, LEVEL_PLUS = 1, LEVEL_HASH = 2 };

struct level {
	uint32_t text; /* in cells; a free entry: the next free one */
	uint32_t refs;
	uint32_t hash;
	uint16_t len;
};

struct levels {
	uint64_t seed;
	struct level *all;
	uint32_t count, cap, spare;
	uint32_t *slots;
	uint32_t slot_count, live;
	struct cells cells;
};

int levels_init(struct levels *l, uint64_t seed);
void levels_fini(struct levels *l);
uint32_t levels_find(const struct levels *l, const char *text, size_t len);
uint32_t levels_keep(struct levels *l, const char *text, size_t len); /* one reference; LEVEL_NONE: no memory */
void levels_drop(struct levels *l, uint32_t id);
const char *levels_text(const struct levels *l, uint32_t id, size_t *len);

/* The numbers of all levels of a topic (LEVEL_NONE where unknown); how many. */
size_t levels_split(const struct levels *l, const char *topic, size_t len, uint32_t out[TOPIC_MAX_LEVELS]);

/* For everyone who hashes bytes here; the seed is drawn at start, so that nobody can choose names that collide. */
uint32_t levels_hash(uint64_t seed, const void *bytes, size_t len);

#endif
