/* SPDX-License-Identifier: MIT */
#include "base/cursor.h"

#include <stdlib.h>
#include <string.h>

char *span_text(struct span s)
{
	char *text = malloc(s.len + 1);

	if (!text)
		return NULL;
	if (s.len > 0)
		memcpy(text, s.at, s.len);
	text[s.len] = '\0';
	return text;
}

uint32_t cursor_varint(struct cursor *c)
{
	uint32_t value = 0;

	for (unsigned shift = 0; shift < 28; shift += 7) {
		uint8_t b = cursor_u8(c);

		value |= (uint32_t)(b & 0x7f) << shift;
		if (b & 0x80)
			continue;
		if (b == 0 && shift > 0)
			c->bad = true; /* longer than needed */
		return c->bad ? 0 : value;
	}
	c->bad = true;
	return 0;
}
