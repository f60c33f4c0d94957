/* SPDX-License-Identifier: MIT */
/* decode.h - registers to values and back. Pure. */
#ifndef DRIVERS_DECODE_H
#define DRIVERS_DECODE_H

#include "drivers/opts.h"
#include "drivers/value.h"

/* Bytes that a text value may need: each character of a string can become two in UTF-8. */
enum { DECODE_TEXT_CAP = 512 };

/* Outcomes of decode_registers(): the registers hold no value, and why. */
enum { DECODE_NULL = 1, DECODE_NOT_A_NUMBER = 2, DECODE_NOT_BCD = 3, DECODE_NOT_A_DATE = 4, DECODE_OUTSIDE = 5 };
const char *decode_reason(int outcome); /* "null", "nan", "bcd", "date", "range" */

/* A number that has a name (`values`) becomes that text; one that has none becomes "unknown 7": text it stays, and
 * nothing is made up.
 *
 * regs: point_words(p) of them. text: DECODE_TEXT_CAP bytes that out may point into. */
int decode_registers(const struct point_opts *p, const uint16_t *regs, char *text, struct value *out);
int decode_bit(const struct point_opts *p, bool bit, char *text, struct value *out);

/* A number of another source (serial, sim) through scale, offset and decimals. */
double decode_round(const struct point_opts *p, double v); /* to its decimals */
struct value decode_real(const struct point_opts *p, double raw);

#endif
