/* SPDX-License-Identifier: MIT */
/* The file format is SQLite's (sqlite.org/fileformat2): a table leaf page begins with 13, the number of cells stands at
 * 3, pointers to them follow at 8. A cell is the payload's length and the key as varints, then the payload, of which
 * more than 4061 bytes continue on overflow pages: four bytes of the next page's number and 4092 of payload each. The
 * payload is a record: a header of varints that give each column's type, then the columns. */
#include "store/carve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TABLE_LEAF = 13,
	LEAF_HEAD = 8,
	LOCAL_MAX = DB_PAGE - 35,
	LOCAL_MIN = (DB_PAGE - 12) * 32 / 255 - 23,
	OVERFLOW_BYTES = DB_PAGE - 4,
	FREE_LIST = 32, /* in the first page: the first trunk of free pages */
	FREE_HEAD = 8,  /* of a trunk: the next one, how many follow */
	PAYLOAD_MAX = 256 * 1024 * 1024,
	FOLLOW = 4, /* overflow pages that a search follows, for each page of the file */
	FOLLOW_LEAST = 64,
};

struct found {
	uint64_t key;
	uint32_t page;
	uint16_t cell; /* its place in the page */
};

struct carve {
	const struct carve_kind *kind;
	int fd;
	uint32_t pages;
	int64_t follow;     /* so many overflow pages more: in a sound file each belongs to one row */
	uint8_t *freed;     /* a bit for each page; NULL: nobody asked */
	struct found *rows; /* by key */
	size_t count, cap, at;
	uint8_t *bytes;
	size_t bytes_cap;
};

/* A big-endian varint of SQLite: eight bytes of seven bits, and a ninth of eight. */
static uint64_t get_varint(struct cursor *c)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++) {
		uint8_t byte = cursor_u8(c);

		v = v << 7 | (byte & 0x7f);
		if (!(byte & 0x80))
			return v;
	}
	return v << 8 | cursor_u8(c);
}

static int read_page(const struct carve *c, uint32_t number, uint8_t page[DB_PAGE])
{
	if (number == 0 || number > c->pages || pread(c->fd, page, DB_PAGE, (off_t)(number - 1) * DB_PAGE) != DB_PAGE)
		return -EBADMSG;
	return 0;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* How much of a payload stands in the leaf. */
static size_t local(size_t payload)
{
	size_t k = LOCAL_MIN + (payload - LOCAL_MIN) % OVERFLOW_BYTES;

	return payload <= LOCAL_MAX ? payload : k <= LOCAL_MAX ? k : LOCAL_MIN;
}

/* All of a cell's payload into c->bytes, its overflow pages followed. */
static int gather(struct carve *c, struct cursor *cell, size_t payload)
{
	uint8_t page[DB_PAGE];
	struct span here = cursor_span(cell, local(payload));
	uint32_t next = payload > here.len ? cursor_u32(cell) : 0;
	size_t len = here.len;

	if (!cursor_ok(cell) || payload > (uint64_t)c->pages * DB_PAGE)
		return -EBADMSG;
	if (payload > c->bytes_cap) {
		uint8_t *more = realloc(c->bytes, payload);

		if (!more)
			return -ENOMEM;
		c->bytes = more;
		c->bytes_cap = payload;
	}
	memcpy(c->bytes, here.at, here.len);
	while (len < payload) {
		size_t n = payload - len < OVERFLOW_BYTES ? payload - len : OVERFLOW_BYTES;
		int r = --c->follow > 0 ? read_page(c, next, page) : -EBADMSG;
		struct cursor head = cursor_on(page, 4);

		if (r < 0)
			return r;
		next = cursor_u32(&head);
		memcpy(c->bytes + len, page + 4, n);
		len += n;
	}
	return 0;
}

/* An integer column by its type; other types make the cursor bad. */
static int64_t get_int(struct cursor *c, uint64_t type)
{
	static const uint8_t widths[] = {0, 1, 2, 3, 4, 6, 8};
	struct span s;
	uint64_t v;

	if (type == 8 || type == 9)
		return type == 9;
	if (type == 0 || type >= sizeof(widths))
		c->bad = true;
	s = cursor_span(c, c->bad ? 0 : widths[type]);
	v = s.len > 0 && (s.at[0] & 0x80) ? UINT64_MAX : 0;
	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.at[i];
	return (int64_t)v;
}

/* The key stands in the cell and is NULL here; integers, a blob. */
static int parse(const struct carve *c, const uint8_t *payload, size_t len, struct carve_row *out)
{
	struct cursor head = cursor_on(payload, len), body = head;
	uint64_t head_len = get_varint(&head), key = get_varint(&head), types[CARVE_INTS], blob;

	cursor_span(&body, (size_t)head_len);
	for (int i = 0; i < c->kind->ints; i++)
		types[i] = get_varint(&head);
	blob = get_varint(&head);
	if (!cursor_ok(&head) || head.at != body.at || key != 0 || blob < 12 || blob % 2)
		return -EBADMSG;
	for (int i = 0; i < c->kind->ints; i++)
		out->ints[i] = get_int(&body, types[i]);
	out->data = cursor_span(&body, (size_t)(blob - 12) / 2);
	return cursor_done(&body) ? c->kind->check(out) : -EBADMSG;
}

static int read_row(struct carve *c, const uint8_t page[DB_PAGE], uint16_t at, struct carve_row *out)
{
	struct cursor cell = cursor_on(page + at, (size_t)(DB_PAGE - at));
	uint64_t payload = get_varint(&cell);
	int r;

	*out = (struct carve_row){.key = get_varint(&cell)};
	if (!cursor_ok(&cell) || payload == 0 || payload > PAYLOAD_MAX)
		return -EBADMSG;
	r = gather(c, &cell, (size_t)payload);
	return r < 0 ? r : parse(c, c->bytes, (size_t)payload, out);
}

/* --- pages that are free ------------------------------------------------------------------------------------------ */

static void set_freed(struct carve *c, uint32_t page)
{
	if (page <= c->pages)
		c->freed[page / 8] |= (uint8_t)(1u << page % 8);
}

static bool is_freed(const struct carve *c, uint32_t page)
{
	return c->freed && page <= c->pages && c->freed[page / 8] >> page % 8 & 1;
}

/* Follows the trunks; a page that comes twice ends it, and so does one that cannot be. */
static int find_freed(struct carve *c)
{
	uint8_t page[DB_PAGE];
	struct cursor head;
	uint32_t trunk, count;

	c->freed = calloc(c->pages / 8 + 1, 1);
	if (!c->freed)
		return -ENOMEM;
	if (read_page(c, 1, page) < 0)
		return 0;
	head = cursor_on(page + FREE_LIST, 4);
	for (trunk = cursor_u32(&head); trunk > 1 && !is_freed(c, trunk) && read_page(c, trunk, page) == 0;) {
		set_freed(c, trunk);
		head = cursor_on(page, DB_PAGE);
		trunk = cursor_u32(&head);
		count = cursor_u32(&head);
		for (uint32_t i = 0; i < count && i < (DB_PAGE - FREE_HEAD) / 4; i++)
			set_freed(c, cursor_u32(&head));
	}
	return 0;
}

/* --- the search --------------------------------------------------------------------------------------------------- */

static int note(struct carve *c, uint64_t key, uint32_t page, uint16_t cell)
{
	if (c->count == CARVE_ROWS)
		return 0;
	if (c->count == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 1024;
		struct found *more = realloc(c->rows, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->rows = more;
		c->cap = cap;
	}
	c->rows[c->count++] = (struct found){key, page, cell};
	return 0;
}

static int search_page(struct carve *c, uint32_t number)
{
	uint8_t page[DB_PAGE];
	struct cursor head;
	unsigned cells;
	int r = is_freed(c, number) ? -EBADMSG : read_page(c, number, page);

	if (r < 0 || page[0] != TABLE_LEAF)
		return 0;
	head = cursor_on(page + 3, DB_PAGE - 3);
	cells = cursor_u16(&head);
	head = cursor_on(page + LEAF_HEAD, DB_PAGE - LEAF_HEAD);
	for (unsigned i = 0; r == 0 && i < cells && cursor_ok(&head); i++) {
		uint16_t at = cursor_u16(&head);
		struct carve_row row;

		if (at < LEAF_HEAD || at >= DB_PAGE)
			continue;
		r = read_row(c, page, at, &row);
		if (r == 0)
			r = note(c, row.key, number, at);
		else if (r == -EBADMSG)
			r = 0;
	}
	return r;
}

static int by_key(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

int carve_new(struct carve **out, const char *path, const struct carve_kind *kind)
{
	struct carve *c = calloc(1, sizeof(*c));
	struct stat st;
	int r = 0;

	if (!c)
		return -ENOMEM;
	c->kind = kind;
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0 || fstat(c->fd, &st) < 0)
		r = -errno;
	else
		c->pages = (uint32_t)(st.st_size / DB_PAGE);
	if (r == 0 && kind->not_freed)
		r = find_freed(c);
	c->follow = (int64_t)c->pages * FOLLOW + FOLLOW_LEAST;
	for (uint32_t n = 2; r == 0 && n <= c->pages; n++)
		r = search_page(c, n);
	c->follow = INT64_MAX; /* what was found is sound */
	if (r < 0) {
		carve_free(c);
		return r;
	}
	if (c->count > 0)
		qsort(c->rows, c->count, sizeof(*c->rows), by_key);
	*out = c;
	return 0;
}

void carve_free(struct carve *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->freed);
	free(c->rows);
	free(c->bytes);
	free(c);
}

int carve_next(struct carve *c, uint64_t after, struct carve_row *out)
{
	uint8_t page[DB_PAGE];
	int r = -EBADMSG;

	if (c->at > 0 && c->rows[c->at - 1].key > after)
		c->at = 0;
	for (; r == -EBADMSG && c->at < c->count; c->at++) {
		const struct found *f = &c->rows[c->at];

		if (f->key <= after)
			continue;
		r = read_page(c, f->page, page);
		if (r == 0)
			r = read_row(c, page, f->cell, out);
	}
	return r == -EBADMSG ? DB_END : r;
}
