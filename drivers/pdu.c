/* SPDX-License-Identifier: MIT */
#include "drivers/pdu.h"

#include "base/cursor.h"

#include <string.h>

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

size_t pdu_build(const struct request *q, uint8_t *out)
{
	size_t at;

	out[0] = q->unit;
	out[1] = q->function;
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
	return q->function == FC_MASK_WRITE ? 8 : 6;
}

static void take_data(const struct request *q, struct cursor *c, struct reply *out)
{
	out->count = q->count;
	if (pdu_is_bits(q->function)) {
		uint8_t byte = 0;

		for (size_t i = 0; i < q->count; i++) {
			if (i % 8 == 0)
				byte = cursor_u8(c);
			out->bits[i] = byte >> i % 8 & 1;
		}
		return;
	}
	for (size_t i = 0; i < q->count; i++)
		out->regs[i] = cursor_u16(c);
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
	if (function != q->function || len != pdu_reply_len(q))
		return PDU_FOREIGN;
	if (pdu_is_read(function)) {
		if (cursor_u8(&c) != len - 3)
			return PDU_FOREIGN;
		take_data(q, &c, out);
		return 0;
	}
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
