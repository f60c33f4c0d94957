/* SPDX-License-Identifier: MIT */
#include "base/cursor.h"

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
