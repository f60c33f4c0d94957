/* SPDX-License-Identifier: MIT */
/* Blocks and gaps come from a file that may be damaged: whatever the bytes are, they are read to the end, and what is
 * read can be packed again. */
#include "store/block.h"
#include "store/gap.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block_iter it;
	struct block_record rec;
	struct block *again;
	struct gap gap;
	uint64_t last = 0;
	char json[GAP_JSON_MAX];
	int err = block_iter_init(&it, data, size, 1);

	if (block_new(&again) < 0)
		abort();
	while (err == 0 && (err = block_next(&it, &rec)) != BLOCK_END) {
		if (err == BLOCK_DAMAGED) {
			err = 0;
			continue;
		}
		if (rec.gap && gap_unpack(&gap, rec.payload) == 0 && gap_json(&gap, json, sizeof(json)) == 0)
			abort();
		if (rec.seq > last && rec.topic.len > 0 && block_add(again, &rec, 1) == 0)
			last = rec.seq;
	}
	block_iter_fini(&it);
	block_free(again);
	if (gap_unpack(&gap, (struct span){data, size}) == 0 && gap_json(&gap, json, sizeof(json)) == 0)
		abort();
	return 0;
}
