/* SPDX-License-Identifier: MIT */
/* Tidying takes a run of neighbours that are small or mostly dead, and writes what lives of them as one folio with the
 * same numbers. A walk through the book goes on where the last one stopped, so that each leaf is looked at before one
 * is looked at again; what dies young is not worth a rewrite, and is mostly gone when the walk comes by. */
#include "store/keeper_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLACK_BYTES = 1024 * 1024, /* so much dead is nobody's trouble */
	SLACK_LEAVES = 256,
	PLACE = 9,                       /* bytes of an entry in the directory, about */
	TARGET = FOLIO_BYTES - 8 * 1024, /* live bytes of a run: they fit into one folio */
	POOR = TARGET / 2,               /* two neighbours with less than this each can be joined */
	READ_BYTES = 512 * 1024,         /* of one commit */
	LOOK = 4096,                     /* leaves of one commit */
};

/* Little room is left: then less that is dead is too much. */
static bool is_pressed(const struct keeper *k)
{
	return (k->size.max_pages - k->size.pages + k->size.free_pages) < k->size.max_pages / 4;
}

/* What of a folio is worth its room: its entries, with their places in the directory. */
static size_t weight(const struct leaf *l)
{
	return l->live_bytes + (size_t)PLACE * l->live;
}

bool keeper_is_untidy(const struct keeper *k)
{
	const struct book *b = &k->book;
	uint64_t live = b->live_bytes + PLACE * b->live, dead = b->bytes > live ? b->bytes - live : 0;
	uint64_t most = is_pressed(k) ? live / 4 + SLACK_BYTES / 16 : live + SLACK_BYTES;

	return k->passed < b->count && (dead > most || b->count - b->empty > SLACK_LEAVES + 2 * (live / POOR));
}

static bool is_sparse(const struct keeper *k, const struct leaf *l)
{
	return l->live < l->count && weight(l) < (is_pressed(k) ? l->bytes - l->bytes / 8 : l->bytes / 2);
}

/* It may be part of a run. Leaves that hold nothing any more are passed over within one. */
static bool is_poor(const struct keeper *k, const struct leaf *l)
{
	return l->live == 0 || weight(l) < POOR || is_sparse(k, l);
}

/* The run that begins at `at`: its length, 0 when it would change nothing. */
static size_t run_at(const struct keeper *k, size_t at)
{
	const struct book *b = &k->book;
	size_t n = 0, live = 0, read = 0, entries = 0, rows = 0;
	bool sparse = false;

	for (; at + n < b->count; n++) {
		const struct leaf *l = b->leaves[at + n];

		if (!is_poor(k, l) || (n > 0 && (live + weight(l) > TARGET || read + l->bytes > READ_BYTES ||
							entries + l->live > FOLIO_ENTRIES ||
							l->last - b->leaves[at]->first > UINT32_MAX)))
			break;
		live += weight(l);
		read += l->bytes;
		entries += l->live;
		rows += l->live > 0;
		sparse |= l->live > 0 && is_sparse(k, l);
	}
	return rows > 1 || sparse ? n : 0;
}

/* The next run behind the last one. */
static size_t find_run(struct keeper *k, size_t *at)
{
	size_t n = 0;

	for (int i = 0; i < LOOK && k->passed < k->book.count; i++) {
		if (k->tidied >= k->book.count)
			k->tidied = 0;
		*at = k->tidied;
		n = run_at(k, *at);
		if (n > 0)
			break;
		k->tidied++;
		k->passed++;
	}
	if (n > 0)
		k->passed = 0;
	return n;
}

/* What lives of a run: entries, and the bytes of all. */
struct haul {
	struct folio_entry *entries;
	size_t count;
	uint8_t *bytes;
	size_t len;
};

static int haul_new(struct haul *h, const struct book *b, size_t at, size_t n)
{
	size_t entries = 0, bytes = 0;

	for (size_t i = at; i < at + n; i++) {
		entries += b->leaves[i]->live;
		bytes += b->leaves[i]->live_bytes;
	}
	*h = (struct haul){.entries = calloc(entries + 1, sizeof(*h->entries)), .bytes = malloc(bytes + 1)};
	return h->entries && h->bytes ? 0 : -ENOMEM;
}

static void haul_free(struct haul *h)
{
	free(h->entries);
	free(h->bytes);
}

static int haul_leaf(struct keeper *k, struct haul *h, const struct leaf *l)
{
	struct ledgerdb_folio row;
	struct folio_reader reader;
	struct folio_entry e;
	int r = ledgerdb_get_at(k->db, l->last, &row);

	if (r == 0)
		r = row.first == l->first ? folio_open(&reader, row.data.at, row.data.len, row.first) : -EBADMSG;
	if (r == 0 && reader.count != l->count)
		r = -EBADMSG;
	for (size_t i = 0; r == 0 && (r = folio_next(&reader, &e)) != FOLIO_END; i++) {
		if (!leaf_lives(l, i)) {
			r = 0;
			continue;
		}
		if (r == FOLIO_DAMAGED)
			break;
		if (e.bytes.len > 0)
			memcpy(h->bytes + h->len, e.bytes.at, e.bytes.len);
		h->entries[h->count++] = (struct folio_entry){e.number, {h->bytes + h->len, e.bytes.len}};
		h->len += e.bytes.len;
	}
	ledgerdb_done(k->db);
	return r == FOLIO_END ? 0 : r < 0 ? r : -EBADMSG; /* a row that is not there, or not what was written */
}

static int rewrite(struct keeper *k, struct tidy *t, const struct haul *h)
{
	int r = 0;

	t->fresh = leaf_pack(h->entries, h->count);
	if (!t->fresh)
		return -ENOMEM;
	for (size_t i = t->at; r == 0 && i < t->at + t->count; i++)
		if (k->book.leaves[i]->live > 0)
			r = ledgerdb_drop(k->db, k->book.leaves[i]->last);
	return r == 0 ? keeper_write_leaf(k, t->fresh) : r;
}

int keeper_tidy_run(struct keeper *k, struct tidy *out)
{
	struct haul h;
	int r;

	out->count = find_run(k, &out->at);
	if (out->count == 0)
		return 0;
	r = haul_new(&h, &k->book, out->at, out->count);
	for (size_t i = out->at; r == 0 && i < out->at + out->count; i++)
		if (k->book.leaves[i]->live > 0)
			r = haul_leaf(k, &h, k->book.leaves[i]);
	if (r == 0)
		r = rewrite(k, out, &h);
	haul_free(&h);
	return r;
}
