/* SPDX-License-Identifier: MIT */
#include "config/lookalike.h"

#include <stdbool.h>
#include <string.h>

static const struct look_alike {
	const char *bytes, *what;
	bool anywhere; /* else only where the text begins or ends */
} look_alikes[] = {
	{"\xe2\x80\x9c", "typographic quotes; write \" or '", false},
	{"\xe2\x80\x9d", "typographic quotes; write \" or '", false},
	{"\xe2\x80\x9e", "typographic quotes; write \" or '", false},
	{"\xe2\x80\x98", "typographic quotes; write \" or '", false},
	{"\xe2\x80\x99", "typographic quotes; write \" or '", false},
	{"\xc2\xa0", "a no-break space; write a plain one, or quote the text if it belongs to it", true},
	{"\xe2\x80\x8b", "a space of no width; remove it, or quote the text if it belongs to it", true},
	{"\xef\xbb\xbf", "a byte order mark; remove it", true},
};

const char *lookalike_in(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(look_alikes) / sizeof(look_alikes[0]); i++) {
		const struct look_alike *l = &look_alikes[i];
		size_t own = strlen(l->bytes);

		if (strncmp(text, l->bytes, own) == 0 || (l->anywhere && strstr(text, l->bytes)) ||
			(len >= own && strcmp(text + len - own, l->bytes) == 0))
			return l->what;
	}
	return NULL;
}
