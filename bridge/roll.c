/* SPDX-License-Identifier: MIT */
/* An entry is its QoS in one byte, and the filter with its end. It is written whole before the length says that it counts,
 * and one that is dropped says GONE in the place of its QoS. */
#include "bridge/roll.h"

#include "base/hash.h"
#include "bridge/mapped.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { GONE = 'x' };

struct file {
	struct mapped_head head;
	_Atomic uint32_t used;
	uint64_t address; /* a sum over it */
	char bytes[ROLL_BYTES];
};

struct roll {
	struct mapped map;
	struct file *file; /* of it */
};

int roll_open(struct roll **out, const char *dir, const char *upstream)
{
	static const struct mapped_kind kind = {ROLL_FILE, "weirRoll", 1, sizeof(struct file)};
	struct roll *r = calloc(1, sizeof(*r));
	int result = r ? mapped_open(&r->map, &kind, dir, upstream) : -ENOMEM;

	if (result < 0) {
		free(r);
		return result;
	}
	r->file = (struct file *)(void *)r->map.at;
	if (r->file->used > ROLL_BYTES)
		r->file->used = 0;
	*out = r;
	return 0;
}

void roll_close(struct roll *r)
{
	if (r)
		mapped_close(&r->map);
	free(r);
}

void roll_begin(struct roll *r, const char *address, bool present)
{
	if (!present || r->file->address != hash_text(address))
		r->file->used = 0;
	r->file->address = hash_text(address);
}

/* The entry at *at, which moves on to the next; NULL: there is none. */
static char *entry(const struct roll *r, size_t *at)
{
	char *e = r->file->bytes + *at;

	if (*at >= r->file->used)
		return NULL;
	*at += 1 + strnlen(e + 1, r->file->used - *at - 1) + 1;
	return *at <= r->file->used ? e : NULL;
}

/* Dropped or not: one that comes back takes its old place. */
static char *find(const struct roll *r, const char *filter)
{
	size_t at = 0;
	char *e;

	while ((e = entry(r, &at)))
		if (strcmp(e + 1, filter) == 0)
			return e;
	return NULL;
}

bool roll_has(const struct roll *r, const char *filter, int qos)
{
	const char *e = find(r, filter);

	return e && e[0] == '0' + qos;
}

void roll_add(struct roll *r, const char *filter, int qos)
{
	char *e = find(r, filter);
	size_t len = strlen(filter) + 1, used = r->file->used;

	if (e) {
		e[0] = (char)('0' + qos);
		return;
	}
	if (used + 1 + len > ROLL_BYTES)
		return;
	r->file->bytes[used] = (char)('0' + qos);
	memcpy(r->file->bytes + used + 1, filter, len);
	r->file->used = (uint32_t)(used + 1 + len);
}

void roll_drop(struct roll *r, const char *filter)
{
	char *e = find(r, filter);

	if (e)
		e[0] = GONE;
}

const char *roll_next(const struct roll *r, size_t *at)
{
	const char *e;

	while ((e = entry(r, at)))
		if (e[0] != GONE)
			return e + 1;
	return NULL;
}
