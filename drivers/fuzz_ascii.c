/* SPDX-License-Identifier: MIT */
/* Any bytes, in lumps of any size: what comes out as a frame goes back in and comes out the same. */
#include "drivers/ascii.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct ascii *a)
{
	uint8_t text[ASCII_MAX];
	size_t len = ascii_build(a->frame, a->len, text);
	struct cursor c = cursor_on(text, len);
	struct ascii b = {0};

	if (len > sizeof(text) || ascii_take(&b, &c) != ASCII_FRAME || b.len != a->len ||
		memcmp(a->frame, b.frame, a->len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ascii a = {0};
	size_t lump = size > 0 ? 1 + data[0] % 7 : 1;

	for (size_t at = 0; at < size; at += lump) {
		struct cursor c = cursor_on(data + at, size - at < lump ? size - at : lump);

		while (cursor_left(&c) > 0)
			if (ascii_take(&a, &c) == ASCII_FRAME)
				again(&a);
	}
	return 0;
}
