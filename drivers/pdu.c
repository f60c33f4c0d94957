/* SPDX-License-Identifier: MIT */
#include "drivers/pdu.h"

#include "base/cursor.h"

#include <string.h>

enum { MEI_IDENTIFY = 14, IDENTIFY_HEAD = 8 };

bool pdu_is_read(uint8_t function)
{
	return function >= FC_READ_COILS && function <= FC_READ_INPUT;
}

bool pdu_is_bits(uint8_t function)
{
	return function == FC_READ_COILS || function == FC_READ_DISCRETE || function == FC_WRITE_COIL ||
	       function == FC_WRITE_COILS;
}

static size_t put16(uint8_t *out, size_t at, uint16_t v)
{
	out[at] = (uint8_t)(v >> 8);
	out[at + 1] = (uint8_t)v;
	return at + 2;
}

static uint16_t coil(uint16_t on)
{
	return on ? 0xff00 : 0;
}

static size_t put_bits(uint8_t *out, size_t at, const struct request *q)
{
	size_t bytes = (size_t)(q->count + 7) / 8;

	out[at++] = (uint8_t)bytes;
	memset(out + at, 0, bytes);
	for (size_t i = 0; i < q->count; i++)
		if (q->regs[i])
			out[at + i / 8] |= (uint8_t)(1u << i % 8);
	return at + bytes;
}

static size_t put_registers(uint8_t *out, size_t at, const struct request *q)
{
	out[at++] = (uint8_t)(2 * q->count);
	for (size_t i = 0; i < q->count; i++)
		at = put16(out, at, q->regs[i]);
	return at;
}

/* What is read stands before what is written, and is done after it. */
static size_t put_write_read(uint8_t *out, const struct request *q)
{
	size_t at = put16(out, put16(out, 2, q->read_address), q->read_count);

	return put_registers(out, put16(out, put16(out, at, q->address), q->count), q);
}

static size_t put_identify(uint8_t *out, const struct request *q)
{
	out[2] = MEI_IDENTIFY;
	out[3] = q->code;
	out[4] = q->object;
	return 5;
}

size_t pdu_build(const struct request *q, uint8_t *out)
{
	size_t at;

	out[0] = q->unit;
	out[1] = q->function;
	if (q->function == FC_IDENTIFY)
		return put_identify(out, q);
	if (q->function == FC_WRITE_READ)
		return put_write_read(out, q);
	at = put16(out, 2, q->address);
	switch (q->function) {
	case FC_WRITE_COIL: return put16(out, at, coil(q->regs[0]));
	case FC_WRITE_REGISTER: return put16(out, at, q->regs[0]);
	case FC_MASK_WRITE: return put16(out, put16(out, at, q->and_mask), q->or_mask);
	case FC_WRITE_COILS: return put_bits(out, put16(out, at, q->count), q);
	case FC_WRITE_REGISTERS: return put_registers(out, put16(out, at, q->count), q);
	default: return put16(out, at, q->count);
	}
}

size_t pdu_reply_len(const struct request *q)
{
	if (pdu_is_read(q->function))
		return 3 + (pdu_is_bits(q->function) ? (size_t)(q->count + 7) / 8 : 2u * q->count);
	switch (q->function) {
	case FC_WRITE_READ: return 3 + 2u * q->read_count;
	case FC_IDENTIFY: return PDU_MAX;
	case FC_MASK_WRITE: return 8;
	default: return 6;
	}
}

/* The head says how many objects there are, each says how long it is. */
static size_t need_objects(const uint8_t *frame, size_t len)
{
	size_t need = IDENTIFY_HEAD;

	for (unsigned n = len < IDENTIFY_HEAD ? 0 : frame[IDENTIFY_HEAD - 1]; n > 0 && need < PDU_MAX; n--) {
		if (need + 2 > len)
			return need + 2;
		need += 2u + frame[need + 1];
	}
	return need < PDU_MAX ? need : PDU_MAX;
}

size_t pdu_need(const uint8_t *frame, size_t len)
{
	if (len < 3 || frame[1] & 0x80)
		return 3;
	if (pdu_is_read(frame[1]) || frame[1] == FC_WRITE_READ)
		return 3 + (size_t)frame[2];
	switch (frame[1]) {
	case FC_WRITE_COIL:
	case FC_WRITE_REGISTER:
	case FC_LOOPBACK:
	case FC_WRITE_COILS:
	case FC_WRITE_REGISTERS: return 6;
	case FC_MASK_WRITE: return 8;
	case FC_IDENTIFY: return need_objects(frame, len);
	default: return PDU_MAX;
	}
}

static void take_data(const struct request *q, struct cursor *c, struct reply *out)
{
	out->count = q->function == FC_WRITE_READ ? q->read_count : q->count;
	if (pdu_is_bits(q->function)) {
		uint8_t byte = 0;

		for (size_t i = 0; i < q->count; i++) {
			if (i % 8 == 0)
				byte = cursor_u8(c);
			out->bits[i] = byte >> i % 8 & 1;
		}
		return;
	}
	for (size_t i = 0; i < out->count; i++)
		out->regs[i] = cursor_u16(c);
}

/* After unit and function: MEI type, code, conformity, more, next, number, and objects to the end of the frame. */
static int take_objects(const struct request *q, struct cursor *c, struct reply *out)
{
	struct pdu_objects *o = &out->objects;
	uint8_t type = cursor_u8(c), code = cursor_u8(c);
	struct span rest;

	cursor_u8(c);
	o->more = cursor_u8(c) == 0xff;
	o->next = cursor_u8(c);
	o->number = cursor_u8(c);
	rest = cursor_span(c, cursor_left(c));
	if (!cursor_ok(c) || type != MEI_IDENTIFY || code != q->code || rest.len > sizeof(o->bytes))
		return PDU_FOREIGN;
	o->len = (uint8_t)rest.len;
	memcpy(o->bytes, rest.at, rest.len);
	out->count = o->number;
	return 0;
}

bool pdu_object(const struct pdu_objects *o, size_t *at, uint8_t *id, const uint8_t **text, size_t *len)
{
	if (*at + 2 > o->len || *at + 2 + o->bytes[*at + 1] > o->len)
		return false;
	*id = o->bytes[*at];
	*len = o->bytes[*at + 1];
	*text = o->bytes + *at + 2;
	*at += 2 + *len;
	return true;
}

static int match_data(const struct request *q, struct cursor *c, size_t len, struct reply *out)
{
	if (cursor_u8(c) != len - 3)
		return PDU_FOREIGN;
	take_data(q, c, out);
	return 0;
}

int pdu_match(const struct request *q, const uint8_t *frame, size_t len, struct reply *out)
{
	struct cursor c = cursor_on(frame, len);
	uint8_t unit = cursor_u8(&c), function = cursor_u8(&c);
	uint8_t echo[PDU_MAX];

	out->exception = 0;
	out->count = 0;
	if (!cursor_ok(&c) || unit != q->unit)
		return PDU_FOREIGN;
	if (function == (q->function | 0x80) && len == 3) {
		out->exception = cursor_u8(&c);
		return out->exception ? 0 : PDU_FOREIGN;
	}
	if (function == FC_IDENTIFY && function == q->function)
		return take_objects(q, &c, out);
	if (function != q->function || len != pdu_reply_len(q))
		return PDU_FOREIGN;
	if (pdu_is_read(function) || function == FC_WRITE_READ)
		return match_data(q, &c, len, out);
	/* A write is answered by its own first bytes. */
	pdu_build(q, echo);
	return memcmp(echo, frame, len) == 0 ? 0 : PDU_FOREIGN;
}

uint16_t pdu_crc(const uint8_t *frame, size_t len)
{
	uint16_t crc = 0xffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= frame[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	return crc;
}
