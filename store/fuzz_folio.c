/* SPDX-License-Identifier: MIT */
/* A folio comes from a file that may be damaged: whatever the bytes are, it is refused or read to its end, what is read
 * lies within it, and can be packed again. No mutation passes the sums, so the input is also taken for what stands
 * behind them: folio.c is compiled in for that, and a right head put before the input. */
#include "store/folio.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const uint8_t *data, size_t size, uint64_t first)
{
	static struct folio_entry entries[FOLIO_ENTRIES];
	struct folio_reader r;
	uint64_t last = 0;
	size_t count = 0;
	uint8_t *again;
	int err;

	if (folio_open(&r, data, size, first) < 0)
		return;
	while ((err = folio_next(&r, &entries[count])) != FOLIO_END) {
		const struct folio_entry *e = &entries[count];

		if (e->bytes.at < data || e->bytes.at + e->bytes.len > data + size)
			abort();
		if (count > 0 && e->number < last)
			break; /* the numbers of a directory that nobody wrote may wrap */
		last = e->number;
		count++;
	}
	if (count == 0 || entries[count - 1].number - entries[0].number > UINT32_MAX)
		return;
	again = malloc(folio_bound(entries, count));
	if (!again || folio_pack(again, entries, count, entries[0].number) > folio_bound(entries, count))
		abort();
	free(again);
}

/* The input as a directory and what follows, behind a head that says it is right. Where the directory ends is for the
 * reader to find out, so every end is tried that the input has room for. */
static void read_behind_sum(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(HEAD + size);

	if (!bytes)
		abort();
	memcpy(bytes + HEAD, data, size);
	bytes[0] = FORMAT;
	for (size_t end = 1; end <= size && end < 64; end++) {
		packed_put32(bytes + 1, sum(1, bytes + HEAD, end));
		read_all(bytes, HEAD + size, 1);
	}
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_all(data, size, 1);
	read_behind_sum(data, size);
	return 0;
}
