/* SPDX-License-Identifier: MIT */
/* Blocks and gaps come from a file that may be damaged: whatever the bytes are, they are read to the end, and what is
 * read can be packed again. No mutation passes the sums, so the bodies behind them are also fed directly: block.c is
 * compiled in for that. */
#include "store/block.c"
#include "store/gap.h"
#include "store/thin.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as bodies of records of one block, each with a byte of length in front. */
static void read_bodies(const uint8_t *data, size_t size)
{
	struct block_iter it = {.first = 1};
	struct cursor c = cursor_on(data, size);
	struct block_record rec;
	size_t sum = 0;

	while (cursor_ok(&c) && cursor_left(&c) > 0) {
		struct span body = cursor_span(&c, cursor_u8(&c));
		struct cursor b = cursor_on(body.at, body.len);

		if (get_body(&it, &b, &rec) == 0)
			for (size_t i = 0; i < rec.topic.len; i++)
				sum += rec.topic.at[i]; /* looked at, for the sanitizers */
	}
	block_iter_fini(&it);
	if (sum == SIZE_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block_iter it;
	struct block_record rec;
	struct block *again;
	struct gap gap;
	uint64_t last = 0;
	char json[GAP_JSON_MAX];
	double value;
	int err = block_iter_init(&it, data, size, 1);

	if (block_new(&again) < 0)
		abort();
	read_bodies(data, size);
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
	if (thin_value((struct span){data, size}, &value) && !isfinite(value))
		abort();
	if (gap_unpack(&gap, (struct span){data, size}) == 0 && gap_json(&gap, json, sizeof(json)) == 0)
		abort();
	return 0;
}
