/* SPDX-License-Identifier: MIT */
#include "store/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_AT = 64 };

/* --- leaves ------------------------------------------------------------------------------------------------------ */

static struct leaf *make(uint64_t first, uint64_t last, size_t count)
{
	struct leaf *l = calloc(1, sizeof(*l) + count * sizeof(l->entries[0]));

	if (l) {
		l->first = first;
		l->last = last;
	}
	return l;
}

static void note(struct leaf *l, const struct folio_entry *e, bool dead)
{
	uint32_t len = (uint32_t)e->bytes.len;

	l->entries[l->count++] =
		(struct leaf_entry){(uint32_t)(e->number - l->first), dead ? len | (uint32_t)LEAF_DEAD : len};
	l->live += !dead;
	l->live_bytes += dead ? 0 : len;
}

struct leaf *leaf_pack(const struct folio_entry *entries, size_t count)
{
	struct leaf *l = make(entries[0].number, entries[count - 1].number, count);

	if (l)
		l->blob = malloc(folio_bound(entries, count));
	if (!l || !l->blob) {
		leaf_free(l);
		return NULL;
	}
	l->bytes = folio_pack(l->blob, entries, count, l->first);
	for (size_t i = 0; i < count; i++)
		note(l, &entries[i], false);
	return l;
}

static bool is_set(struct span bits, size_t i)
{
	return i / 8 < bits.len && (bits.at[i / 8] >> i % 8 & 1);
}

int leaf_read(struct leaf **out, struct span data, struct span dead, uint64_t first, uint64_t last)
{
	struct folio_reader r;
	struct folio_entry e = {0};
	struct leaf *l;
	int err = last >= first && last - first <= UINT32_MAX ? folio_open(&r, data.at, data.len, first) : -EBADMSG;

	if (err < 0)
		return err;
	l = make(first, last, r.count);
	if (!l)
		return -ENOMEM;
	l->bytes = data.len;
	l->in_row = true;
	/* A number or a length that is wrong was seen by the directory's sum; bytes that are wrong are for the replay. */
	for (size_t i = 0; folio_next_unseen(&r, &e) != FOLIO_END; i++)
		note(l, &e, is_set(dead, i));
	if (e.number != last) {
		leaf_free(l);
		return -EBADMSG;
	}
	*out = l;
	return 0;
}

void leaf_free(struct leaf *l)
{
	if (!l)
		return;
	free(l->blob);
	free(l);
}

bool leaf_lives(const struct leaf *l, size_t entry)
{
	return !(l->entries[entry].len & (uint32_t)LEAF_DEAD);
}

size_t leaf_dead_bytes(const struct leaf *l)
{
	return l->live < l->count ? (l->count + 7u) / 8 : 0;
}

void leaf_put_dead(const struct leaf *l, uint8_t *out)
{
	memset(out, 0, leaf_dead_bytes(l));
	for (size_t i = 0; i < l->count; i++)
		if (!leaf_lives(l, i))
			out[i / 8] |= (uint8_t)(1u << i % 8);
}

/* Numbers mostly follow each other without a hole: the first look is where it then would be. */
static struct leaf_entry *find_entry(struct leaf *l, uint64_t number)
{
	uint32_t step = (uint32_t)(number - l->first);
	size_t low = 0, high = l->count;

	if (step < l->count && l->entries[step].step == step)
		return &l->entries[step];
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->entries[mid].step < step)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->count && l->entries[low].step == step ? &l->entries[low] : NULL;
}

/* --- the book ---------------------------------------------------------------------------------------------------- */

void book_fini(struct book *b)
{
	for (size_t i = 0; i < b->count; i++)
		leaf_free(b->leaves[i]);
	free(b->leaves);
	*b = (struct book){0};
}

static void count_in(struct book *b, const struct leaf *l)
{
	b->live += l->live;
	b->bytes += l->bytes;
	b->live_bytes += l->live_bytes;
}

static void count_out(struct book *b, const struct leaf *l)
{
	b->live -= l->live;
	b->bytes -= l->bytes;
	b->live_bytes -= l->live_bytes;
}

void book_mark(struct book *b, struct leaf *l)
{
	if (l->dirty)
		return;
	l->dirty = true;
	l->next_dirty = b->dirty;
	b->dirty = l;
}

int book_reserve(struct book *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	struct leaf **leaves;

	if (b->count + more <= b->cap)
		return 0;
	while (cap < b->count + more)
		cap *= 2;
	leaves = realloc(b->leaves, cap * sizeof(struct leaf *));
	if (!leaves)
		return -ENOMEM;
	b->leaves = leaves;
	b->cap = cap;
	return 0;
}

int book_add_take(struct book *b, struct leaf *l)
{
	if (book_reserve(b, 1) < 0)
		return -ENOMEM;
	b->leaves[b->count++] = l;
	count_in(b, l);
	if (!l->in_row)
		book_mark(b, l);
	return 0;
}

/* What is dropped is mostly near to what was dropped before. */
static struct leaf *find(struct book *b, uint64_t number)
{
	size_t low = 0, high = b->count;

	if (b->hint < b->count && b->leaves[b->hint]->first <= number && number <= b->leaves[b->hint]->last)
		return b->leaves[b->hint];
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (b->leaves[mid]->last < number)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == b->count || b->leaves[low]->first > number)
		return NULL;
	b->hint = low;
	return b->leaves[low];
}

static struct leaf_entry *find_live(struct book *b, uint64_t number, struct leaf **where)
{
	struct leaf *l = find(b, number);
	struct leaf_entry *e = l ? find_entry(l, number) : NULL;

	*where = l;
	return e && !(e->len & (uint32_t)LEAF_DEAD) ? e : NULL;
}

bool book_has(struct book *b, uint64_t number)
{
	struct leaf *l;

	return find_live(b, number, &l) != NULL;
}

bool book_drop(struct book *b, uint64_t number)
{
	struct leaf *l;
	struct leaf_entry *e = find_live(b, number, &l);

	if (!e)
		return false;
	l->live--;
	l->live_bytes -= e->len;
	b->live--;
	b->live_bytes -= e->len;
	e->len |= (uint32_t)LEAF_DEAD;
	book_mark(b, l);
	return true;
}

void book_replace_take(struct book *b, size_t at, size_t count, struct leaf *l)
{
	for (size_t i = at; i < at + count; i++) {
		b->empty -= b->leaves[i]->live == 0;
		count_out(b, b->leaves[i]);
		leaf_free(b->leaves[i]);
	}
	b->leaves[at] = l;
	memmove(&b->leaves[at + 1], &b->leaves[at + count], (b->count - at - count) * sizeof(struct leaf *));
	b->count -= count - 1;
	count_in(b, l);
}

static void settle(struct book *b, struct leaf *l)
{
	l->dirty = false;
	l->in_row = l->live > 0;
	free(l->blob);
	l->blob = NULL;
	if (l->live > 0)
		return;
	b->empty++;
	b->bytes -= l->bytes;
	l->bytes = 0;
}

void book_written(struct book *b)
{
	struct leaf *next;

	for (struct leaf *l = b->dirty; l; l = next) {
		next = l->next_dirty;
		settle(b, l);
	}
	b->dirty = NULL;
}

void book_sweep(struct book *b)
{
	size_t kept = 0;

	if (b->empty < SWEEP_AT || b->empty < b->count / 4)
		return;
	for (size_t i = 0; i < b->count; i++) {
		struct leaf *l = b->leaves[i];

		if (l->live > 0 || l->dirty)
			b->leaves[kept++] = l;
		else
			leaf_free(l);
	}
	b->count = kept;
	b->empty = 0;
}
