/* SPDX-License-Identifier: MIT */
/* A word is the number of the command and, in its lowest byte, how far it has come. */
#include "gateway/begun.h"

#include "bridge/mapped.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* On disk: never given another meaning. An ending stands behind NOTE_ENDED. */
enum { NOTE_ACCEPTED = 1, NOTE_WRITING = 2, NOTE_ENDED = 16, NOTE_BITS = 8, NOTE_MASK = 255 };

struct file {
	struct mapped_head head;
	_Atomic uint64_t words[BEGUN_PLACES]; /* 0: nobody's */
};

struct begun {
	struct mapped map;
	struct file *file; /* of it */
	bool believed;     /* what it said when it was opened is so */
	bool claimed[BEGUN_PLACES];
};

int begun_open(struct begun **out, const char *dir)
{
	static const struct mapped_kind kind = {"commands", "weirBegn", 1, sizeof(struct file)};
	struct begun *b = calloc(1, sizeof(*b));
	int r = b ? mapped_open(&b->map, &kind, dir, "begun") : -ENOMEM;

	if (r < 0) {
		free(b);
		return r;
	}
	b->file = (struct file *)(void *)b->map.at;
	b->believed = b->map.believed;
	*out = b;
	return 0;
}

void begun_close(struct begun *b)
{
	if (b)
		mapped_close(&b->map);
	free(b);
}

bool begun_is_free(const struct begun *b, size_t place)
{
	return !b || b->file->words[place] == 0;
}

static void note(struct begun *b, size_t place, uint64_t number, unsigned what)
{
	if (b && number != 0)
		b->file->words[place] = number << NOTE_BITS | what;
}

void begun_accepted(struct begun *b, size_t place, uint64_t number)
{
	note(b, place, number, NOTE_ACCEPTED);
}

void begun_writing(struct begun *b, size_t place, uint64_t number)
{
	note(b, place, number, NOTE_WRITING);
}

void begun_ended(struct begun *b, size_t place, uint64_t number, enum ending ending)
{
	note(b, place, number, NOTE_ENDED + (unsigned)ending);
}

void begun_clear(struct begun *b, size_t place)
{
	if (b)
		b->file->words[place] = 0;
}

/* A word that this version cannot read says nothing for sure. */
static struct begun_trace trace_of(size_t place, unsigned what)
{
	if (what == NOTE_ACCEPTED)
		return (struct begun_trace){BEGUN_UNTOUCHED, place, ENDING_NONE};
	if (what > NOTE_ENDED && what < NOTE_ENDED + ENDINGS)
		return (struct begun_trace){BEGUN_ENDED, place, (enum ending)(what - NOTE_ENDED)};
	return (struct begun_trace){BEGUN_WRITING, place, ENDING_NONE};
}

struct begun_trace begun_trace(struct begun *b, uint64_t number)
{
	for (size_t i = 0; b && i < BEGUN_PLACES; i++) {
		uint64_t word = b->file->words[i];

		if (word >> NOTE_BITS != number)
			continue;
		b->claimed[i] = true;
		return trace_of(i, word & NOTE_MASK);
	}
	return (struct begun_trace){b && b->believed ? BEGUN_UNTOUCHED : BEGUN_UNKNOWN, BEGUN_PLACES, ENDING_NONE};
}

void begun_all_found(struct begun *b)
{
	for (size_t i = 0; b && i < BEGUN_PLACES; i++)
		if (!b->claimed[i])
			begun_clear(b, i);
}
