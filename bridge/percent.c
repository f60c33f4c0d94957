/* SPDX-License-Identifier: MIT */
#include "bridge/percent.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool is_plain(unsigned char c)
{
	return c < 128 && (isalnum(c) || (c && strchr("-_.~", c)));
}

size_t percent_write(char *out, size_t cap, const char *text, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (n + (is_plain(c) ? 1 : 3) >= cap)
			break;
		if (is_plain(c)) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	out[n] = 0;
	return n;
}
