/* SPDX-License-Identifier: MIT */
#include "drivers/doubt.h"

#include <string.h>

enum { EXCEPTION_BIT = 0x80, EXCEPTION_LEN = 3 };

static struct owed owed_of(const struct request *q)
{
	struct owed o = {.unit = q->unit, .function = q->function};
	uint8_t frame[PDU_MAX];

	/* How much there is to identify is not known before. */
	if (q->function == FC_IDENTIFY)
		return o;
	o.len = (uint16_t)pdu_reply_len(q);
	if (pdu_is_read(q->function) || q->function == FC_WRITE_READ)
		return o;
	pdu_build(q, frame);
	o.mark = pdu_crc(frame, o.len);
	return o;
}

static bool looks_like(const struct owed *o, const uint8_t *frame, size_t len)
{
	if (len < EXCEPTION_LEN || o->unit != frame[0] || o->function != (frame[1] & ~EXCEPTION_BIT))
		return false;
	if (frame[1] & EXCEPTION_BIT)
		return len == EXCEPTION_LEN;
	return o->function == FC_IDENTIFY || (o->len == len && (o->mark == 0 || o->mark == pdu_crc(frame, len)));
}

/* Those up to `last`; of one unit, or with unit < 0 of all. */
static void drop(struct doubt *d, size_t last, int unit)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->count; i++)
		if (i > last || (unit >= 0 && d->list[i].unit != unit))
			d->list[kept++] = d->list[i];
	d->count = kept;
}

static void forget_old(struct doubt *d, int64_t now_us)
{
	size_t old = 0;

	while (old < d->count && now_us - d->list[old].at_us > d->keep_us)
		old++;
	if (old > 0)
		drop(d, old - 1, -1);
}

void doubt_add(struct doubt *d, const struct request *q, int64_t now_us)
{
	forget_old(d, now_us);
	if (d->count == DOUBT_CAP)
		drop(d, 0, -1);
	d->list[d->count] = owed_of(q);
	d->list[d->count++].at_us = now_us;
}

bool doubt_covers(struct doubt *d, const struct request *q, int64_t now_us)
{
	struct owed o = owed_of(q);

	forget_old(d, now_us);
	for (size_t i = 0; i < d->count; i++)
		if (d->list[i].unit == o.unit && d->list[i].function == o.function && d->list[i].len == o.len &&
			d->list[i].mark == o.mark)
			return true;
	return false;
}

void doubt_settle(struct doubt *d, uint8_t unit)
{
	if (d->count > 0)
		drop(d, d->count - 1, unit);
}

bool doubt_heard(struct doubt *d, const uint8_t *frame, size_t len)
{
	for (size_t i = 0; i < d->count; i++)
		if (looks_like(&d->list[i], frame, len)) {
			uint8_t function = d->list[i].function;

			drop(d, i, frame[0]);
			d->late(d->ctx, frame[0], function);
			return true;
		}
	return false;
}

static size_t drop_stray(struct doubt *d)
{
	size_t len = d->stray_len;

	d->stray_len = 0;
	return len;
}

size_t doubt_stray(struct doubt *d, const uint8_t *bytes, size_t len, int64_t now_us)
{
	struct frame_look look = {0};
	enum frame_end end;
	size_t noise = 0;

	if (now_us - d->stray_us > d->framing->gap_us || len > sizeof(d->stray) - d->stray_len)
		noise = drop_stray(d);
	d->stray_us = now_us;
	if (d->count == 0 || len > sizeof(d->stray))
		return noise + drop_stray(d) + len;
	memcpy(d->stray + d->stray_len, bytes, len);
	d->stray_len += len;
	end = d->framing->look(d->stray, d->stray_len, 0, &look);
	if (end == FRAME_MORE)
		return noise;
	if (end == FRAME_WHOLE && doubt_heard(d, look.frame, look.len))
		d->stray_len -= look.used;
	return noise + drop_stray(d);
}

bool doubt_hears(const struct doubt *d, int64_t last_byte_us)
{
	return d->stray_len > 0 && d->stray_us == last_byte_us;
}
