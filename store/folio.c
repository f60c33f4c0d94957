/* SPDX-License-Identifier: MIT */
#include "store/folio.h"

#include "store/packed.h"
#include "store/sum.h"

#include <errno.h>

enum {
	FORMAT = 1,
	HEAD = 1 + 4,                          /* format, sum of the directory */
	COUNT_MAX = 3,                         /* bytes of FOLIO_ENTRIES as a varint, and one more */
	PLACE_MAX = 2 * PACKED_VARINT_MAX + 4, /* of an entry in the directory */
	PLACE = 9,                             /* as it mostly is */
};

static uint32_t sum(uint64_t seed, const uint8_t *at, size_t len)
{
	return (uint32_t)(sum_bytes(sum_mix(0, seed), at, len) >> 32);
}

/* --- packing ----------------------------------------------------------------------------------------------------- */

size_t folio_fit(const struct folio_entry *entries, size_t count)
{
	size_t n, bytes = HEAD + COUNT_MAX;

	for (n = 0; n < count && n < FOLIO_ENTRIES; n++) {
		bytes += PLACE + entries[n].bytes.len;
		if (n > 0 && (bytes > FOLIO_BYTES || entries[n].number - entries[0].number > UINT32_MAX))
			break;
	}
	return n;
}

size_t folio_bound(const struct folio_entry *entries, size_t count)
{
	size_t bytes = HEAD + COUNT_MAX + count * PLACE_MAX;

	for (size_t i = 0; i < count; i++)
		bytes += entries[i].bytes.len;
	return bytes;
}

size_t folio_pack(uint8_t *out, const struct folio_entry *entries, size_t count, uint64_t first)
{
	uint8_t *at = packed_put_varint(out + HEAD, count);
	uint64_t before = first;

	for (size_t i = 0; i < count; i++) {
		const struct folio_entry *e = &entries[i];

		at = packed_put_varint(at, e->number - before);
		at = packed_put_varint(at, e->bytes.len);
		at = packed_put32(at, sum(e->number, e->bytes.at, e->bytes.len));
		before = e->number;
	}
	out[0] = FORMAT;
	packed_put32(out + 1, sum(first, out + HEAD, (size_t)(at - out) - HEAD));
	for (size_t i = 0; i < count; i++)
		at = packed_put_span(at, entries[i].bytes);
	return (size_t)(at - out);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* Reads one place of the directory. */
static uint64_t get_place(struct cursor *c, uint64_t *len, uint32_t *want)
{
	uint64_t step = packed_get_varint(c);

	*len = packed_get_varint(c);
	*want = packed_get32(c);
	return step;
}

int folio_open(struct folio_reader *r, const void *bytes, size_t len, uint64_t first)
{
	struct cursor c = cursor_on(bytes, len);
	uint8_t format = cursor_u8(&c);
	uint32_t want = packed_get32(&c), ignored;
	const uint8_t *start = c.at;
	uint64_t count = packed_get_varint(&c), total = 0, one = 0;

	*r = (struct folio_reader){.directory = c, .number = first};
	if (!cursor_ok(&c) || format != FORMAT || count == 0 || count > FOLIO_ENTRIES)
		return -EBADMSG;
	for (uint64_t i = 0; i < count && cursor_ok(&c); i++) {
		get_place(&c, &one, &ignored);
		if (one > len - total)
			return -EBADMSG;
		total += one;
	}
	if (!cursor_ok(&c) || total != cursor_left(&c) || sum(first, start, (size_t)(c.at - start)) != want)
		return -EBADMSG;
	r->bodies = c;
	r->left = r->count = (uint32_t)count;
	return 0;
}

static int next(struct folio_reader *r, struct folio_entry *out, uint32_t *want)
{
	uint64_t len;

	if (r->left == 0)
		return FOLIO_END;
	r->left--;
	r->number += get_place(&r->directory, &len, want);
	out->number = r->number;
	out->bytes = cursor_span(&r->bodies, (size_t)len);
	return 0;
}

int folio_next(struct folio_reader *r, struct folio_entry *out)
{
	uint32_t want;
	int err = next(r, out, &want);

	if (err)
		return err;
	return sum(out->number, out->bytes.at, out->bytes.len) == want ? 0 : FOLIO_DAMAGED;
}

int folio_next_unseen(struct folio_reader *r, struct folio_entry *out)
{
	uint32_t ignored;

	return next(r, out, &ignored);
}
