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
	ENCODE_NO_NAME = 5,     /* the point's values have names, and this is none of them */
	ENCODE_NOT_A_DATE = 6,  /* or the registers cannot hold it */
};
const char *encode_reason(int outcome); /* "below min"; static */

/* A value as somebody wrote it: `23.5`, `true`, `on`, any text for a string (it stays where it is). */
int encode_text(const struct point_opts *p, const char *text, size_t len, struct value *out);
/* Within min and max, and does it fit its registers? */
int encode_check(const struct point_opts *p, const struct value *v);
/* regs: point_words(p) of them; of a bit field only its bits are set. */
int encode_registers(const struct point_opts *p, const struct value *v, uint16_t *regs);
int encode_bit(const struct point_opts *p, const struct value *v, bool *bit);
/* A name as its number, a date as its seconds since 1970; what is neither as it is. */
int encode_plain(const struct point_opts *p, const struct value *v, struct value *out);
bool encode_bool(const struct value *v);
double encode_number(const struct value *v);

/* The bits of its registers that belong to the point: masks for point_words(p) of them, as they stand on the wire. */
void encode_mask(const struct point_opts *p, uint16_t *masks);

#endif
