/* SPDX-License-Identifier: MIT */
/* An id's place holds the number of its message, and in the lowest bit whether main has it. Each change is one store of
 * eight bytes, so a kill falls between two states. The number of what is offered is written down before it is used, so
 * it is never given twice. */
#include "bridge/inbox.h"

#include "base/backoff.h"
#include "base/hash.h"
#include "bridge/mapped.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { IDS = 65536, TAKEN = 1 };

struct file {
	struct mapped_head head;
	uint64_t address; /* a sum over it */
	uint64_t epoch, last;
	_Atomic uint64_t ids[IDS]; /* number << 1 | TAKEN; 0: nothing is known of the id */
};

struct inbox {
	struct mapped map;
	struct file *file; /* of it */
	size_t count;
	uint16_t offered; /* has a number, and no answer; 0: none */
};

static void look_through(struct inbox *in)
{
	for (uint32_t id = 1; id < IDS; id++) {
		uint64_t at = in->file->ids[id];

		in->count += at & TAKEN;
		if (at != 0 && !(at & TAKEN))
			in->offered = (uint16_t)id;
	}
}

int inbox_open(struct inbox **out, const char *dir, const char *upstream)
{
	static const struct mapped_kind kind = {INBOX_FILE, "weirInbx", 1, sizeof(struct file)};
	struct inbox *in = calloc(1, sizeof(*in));
	int r = in ? mapped_open(&in->map, &kind, dir, upstream) : -ENOMEM;

	if (r < 0) {
		free(in);
		return r;
	}
	in->file = (struct file *)(void *)in->map.at;
	while (in->file->epoch == 0)
		in->file->epoch = (uint64_t)backoff_random() << 32 | backoff_random();
	look_through(in);
	*out = in;
	return 0;
}

void inbox_close(struct inbox *in)
{
	if (in)
		mapped_close(&in->map);
	free(in);
}

void inbox_dial(struct inbox *in, const char *address)
{
	if (in->file->address != hash_text(address))
		inbox_forget(in);
	in->file->address = hash_text(address);
}

void inbox_forget(struct inbox *in)
{
	for (uint32_t id = 1; id < IDS; id++)
		if (in->file->ids[id] != 0)
			in->file->ids[id] = 0;
	in->count = in->offered = 0;
}

uint64_t inbox_epoch(const struct inbox *in)
{
	return in->file->epoch;
}

bool inbox_has(const struct inbox *in, uint16_t id)
{
	return in->file->ids[id] & TAKEN;
}

uint64_t inbox_offer(struct inbox *in, uint16_t id)
{
	uint64_t number = in->file->ids[id] >> 1;

	if (number == 0 || inbox_has(in, id)) {
		inbox_release(in, id);
		number = ++in->file->last;
		in->file->ids[id] = number << 1;
	}
	in->offered = id;
	return number;
}

void inbox_taken(struct inbox *in, uint16_t id)
{
	in->count += !inbox_has(in, id);
	in->file->ids[id] |= TAKEN;
	if (in->offered == id)
		in->offered = 0;
}

void inbox_release(struct inbox *in, uint16_t id)
{
	in->count -= inbox_has(in, id);
	in->file->ids[id] = 0;
	if (in->offered == id)
		in->offered = 0;
}

bool inbox_open_offer(const struct inbox *in, uint16_t *id, uint64_t *number)
{
	*id = in->offered;
	*number = in->file->ids[in->offered] >> 1;
	return in->offered != 0;
}

size_t inbox_count(const struct inbox *in)
{
	return in->count;
}

bool inbox_next(const struct inbox *in, uint32_t *after, uint16_t *id)
{
	for (uint32_t at = *after + 1; at < IDS; at++) {
		if (!inbox_has(in, (uint16_t)at))
			continue;
		*after = at;
		*id = (uint16_t)at;
		return true;
	}
	return false;
}
