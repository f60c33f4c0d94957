/* SPDX-License-Identifier: MIT */
/* text.h - lines of text out of a stream of bytes, and values out of lines. Pure.
 *
 * Memory    a splitter holds one line of at most cap bytes; a longer one is dropped up to its end and counted.
 */
#ifndef DRIVERS_TEXT_H
#define DRIVERS_TEXT_H

#include "base/cursor.h"
#include "drivers/opts.h"
#include "drivers/value.h"

struct splitter {
	char *line; /* cap + 1 bytes */
	size_t cap, len;
	enum line_end end;
	bool skipping;    /* the present line is too long */
	uint64_t dropped; /* lines */
};

int splitter_init(struct splitter *s, size_t cap, enum line_end end); /* 0 or -ENOMEM */
void splitter_fini(struct splitter *s);
void splitter_reset(struct splitter *s); /* the port was opened anew: what came before does not count */
/* Takes bytes up to the end of the next line. True: line is one, terminated, valid until the next call. */
bool splitter_take(struct splitter *s, struct cursor *c, struct span *line);

/* Proves the line and cuts the checksum off; false when it fails. */
bool text_check(enum line_checksum how, struct span *line);
/* The nth field, without the blanks around it; false when there are fewer. */
bool text_field(struct span line, const char *separator, int64_t n, struct span *field);

/* The value of a point out of its text; false when that is no such value. A text value points into it. */
bool text_value(const struct point_opts *p, struct span text, struct value *out);

#endif
