/* SPDX-License-Identifier: MIT */
/* encode.h - a sample as the bytes of its payload. Pure. */
#ifndef GATEWAY_ENCODE_H
#define GATEWAY_ENCODE_H

#include "base/json.h"
#include "drivers/driver.h"

#include <stddef.h>

enum { ENCODE_MAX = 4096 };

void encode_value(struct json *j, const struct value *v); /* null when there is none */

/* {"v":23.4,"t":1763689123123,"q":"good"}, with "u" where the point has a unit; a bad one carries v null, the reason
 * and when it was last good: {"v":null,"t":...,"q":"bad","r":"timeout","good":...}. A value that stands for a window of
 * readings has their number, extremes and first time with it: "n":60,"min":21.9,"max":24,"from":.... With `payload:
 * value` the value
 * alone, null while it is bad. Length, 0: longer than cap. */
size_t encode_sample(char *out, size_t cap, const struct sample *s);

#endif
