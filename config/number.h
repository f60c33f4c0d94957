/* SPDX-License-Identifier: MIT */
/* number.h - what counts as a number, and why something that looks like one does not. Pure.
 *
 * YAML 1.1 and 1.2 disagree on octal, `_`, base 60 and more; what could be read in two ways is refused. Taken are
 * decimal digits without a leading zero, 0x1f, and for reals a point and an exponent.
 */
#ifndef CONFIG_NUMBER_H
#define CONFIG_NUMBER_H

#include "config/scalar.h"

/* use: "; use 1 .. 247", for the sentence. */
bool number_check(const struct key *key, const struct key_node *n, const char *use, struct scalar_fault *f);
int number_base(const char *text); /* of a number that was checked: 10 or 16 */

#endif
