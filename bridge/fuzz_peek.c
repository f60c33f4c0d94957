/* SPDX-License-Identifier: MIT */
/* What peek() takes for JSON can be put into other JSON: it is still JSON there, and says the same of itself. */
#include "bridge/peek.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct span s, const uint8_t *data, size_t size)
{
	return s.len == 0 || (s.at >= data && s.at + s.len <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *wrapped = malloc(size + 16);
	struct peek p, q;

	if (!wrapped)
		abort();
	peek(&p, data, size);
	if (!inside(p.v, data, size) || !inside(p.quality, data, size) || (!p.json && (p.number || p.v.len > 0)))
		abort();
	memcpy(wrapped, "{\"v\":", 5);
	memcpy(wrapped + 5, data, size);
	wrapped[5 + size] = '}';
	peek(&q, wrapped, size + 6);
	/* One level deeper, so the deepest may be one too deep; and text can close our brace and open another. */
	if (p.number && (data[0] == '-' || (data[0] >= '0' && data[0] <= '9')) && (!q.number || q.value != p.value))
		abort();
	free(wrapped);
	return 0;
}
