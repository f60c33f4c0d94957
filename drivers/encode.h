/* SPDX-License-Identifier: MIT */
/* encode.h - values to what is written: the way back of decode.h. Pure.
 *
 * Nothing is clipped or rounded away: a value that does not fit its registers or its limits is refused. */
#ifndef DRIVERS_ENCODE_H
#define DRIVERS_ENCODE_H

#include "drivers/opts.h"
#include "drivers/value.h"

enum {
	ENCODE_NOT_A_VALUE = 1, /* the text is not a value of the point's type */
	ENCODE_BELOW = 2,       /* the point's min */
	ENCODE_ABOVE = 3,       /* its max */
	ENCODE_TOO_BIG = 4,     /* for its registers */
};
const char *encode_reason(int outcome); /* "below min"; static */

/* A value as somebody wrote it: `23.5`, `true`, `on`, any text for a string (it stays where it is). */
int encode_text(const struct point_opts *p, const char *text, size_t len, struct value *out);
/* Within min and max, and does it fit its registers? */
int encode_check(const struct point_opts *p, const struct value *v);
/* regs: point_words(p) of them; of a bit field only its bits are set. */
int encode_registers(const struct point_opts *p, const struct value *v, uint16_t *regs);
bool encode_bool(const struct value *v);
double encode_number(const struct value *v);

/* The bits of its register that belong to the point. */
uint16_t encode_mask(const struct point_opts *p);

#endif
