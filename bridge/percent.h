/* SPDX-License-Identifier: MIT */
/* percent.h - text as the values of a query carry it: letters, digits, -_.~ as they are, all else as %XX. Pure. */
#ifndef BRIDGE_PERCENT_H
#define BRIDGE_PERCENT_H

#include <stddef.h>

/* Its length, without the 0 behind it; what does not fit whole is left out: then out may be cut short, at a letter. */
size_t percent_write(char *out, size_t cap, const char *text, size_t len);

#endif
