/* SPDX-License-Identifier: MIT */
/* Any bytes decode or are refused, and what decoded encodes to the same bytes. */
#include "bridge/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[512 * 1024];
	struct wire_word w;

	if (wire_decode(&w, data, size) != 0)
		return 0;
	if (wire_encode(&w, again, sizeof(again)) != size || memcmp(again, data, size) != 0)
		abort();
	return 0;
}
