/* SPDX-License-Identifier: MIT */
/* tape.h - the last things that happened, as bytes with a time: one thread puts, any thread reads.
 *
 * Memory    a ring of cap bytes, made at the start.
 * When full the oldest notes give way (DROP_OLDEST); a reader sees it by the gap in seq.
 * Waits     for a copy of a few hundred bytes, at most.
 */
#ifndef BASE_TAPE_H
#define BASE_TAPE_H

#include <stddef.h>
#include <stdint.h>

enum { TAPE_NOTE_MAX = 272 }; /* bytes of one note; more is cut off */

struct tape;

struct tape_note {
	uint64_t seq; /* 1, 2, 3, ... */
	int64_t at_us;
	uint16_t kind; /* the writer's enum */
	uint16_t len;
	uint8_t bytes[TAPE_NOTE_MAX];
};

int tape_new(struct tape **out, size_t cap);
void tape_free(struct tape *t); /* NULL is fine */
/* NULL is fine: nothing is kept. */
void tape_put(struct tape *t, int64_t at_us, unsigned kind, const void *bytes, size_t len);
/* Up to max notes with seq > after, oldest first; their number. */
size_t tape_read(struct tape *t, uint64_t after, struct tape_note *out, size_t max);

#endif
