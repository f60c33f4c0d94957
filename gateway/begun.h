/* SPDX-License-Identifier: MIT */
/* begun.h - how far each command has come, remembered past the end of the process.
 *
 * Owner     main; begun_writing() comes from the threads of lines, begun_clear() from the broker's. A place is one word,
 *           and whoever has the command of it writes it.
 * Promise   what is noted outlives kill -9 at once, without a flush. After a power cut nothing of it is known, and what
 *           was not settled may have been written (bridge/mapped.h).
 * Memory    a file, DIR/commands-begun, of eight bytes for each place. NULL instead of one: nothing is noted.
 */
#ifndef GATEWAY_BEGUN_H
#define GATEWAY_BEGUN_H

#include "gateway/ending.h"

#include <stdint.h>

enum { BEGUN_PLACES = 256 };

struct begun;

int begun_open(struct begun **out, const char *dir); /* 0 or -errno */
void begun_close(struct begun *b);

bool begun_is_free(const struct begun *b, size_t place);
void begun_accepted(struct begun *b, size_t place, uint64_t number);
void begun_writing(struct begun *b, size_t place, uint64_t number); /* from now on it may be on the wire */
void begun_ended(struct begun *b, size_t place, uint64_t number, enum ending ending);
void begun_clear(struct begun *b, size_t place);

/* What an earlier process left of this command. */
enum begun_left {
	BEGUN_UNKNOWN,   /* it may have been written */
	BEGUN_UNTOUCHED, /* it was not given to a line */
	BEGUN_WRITING,   /* it may have been written, and was not answered */
	BEGUN_ENDED,     /* it has this ending, which may not have been told */
};
struct begun_trace {
	enum begun_left left;
	size_t place; /* which is its own; BEGUN_PLACES: it has none */
	enum ending ending;
};
struct begun_trace begun_trace(struct begun *b, uint64_t number);
void begun_all_found(struct begun *b); /* places that nobody asked about are free again */

#endif
