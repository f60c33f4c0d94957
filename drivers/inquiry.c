/* SPDX-License-Identifier: MIT */
#include "drivers/inquiry.h"

#include "base/cursor.h"

#include <string.h>

enum {
	HEAD = 6, /* number, protocol, length */
	EXCEPTION_BIT = 0x80,
	EXCEPTION_FUNCTION = 1,
	EXCEPTION_ADDRESS = 2,
	EXCEPTION_VALUE = 3,
	COIL_ON = 0xff00,
};

/* --- requests: what stands behind unit and function; false: no device could do it ---------------------------------- */

static bool fits(unsigned count, unsigned most)
{
	return count >= 1 && count <= most;
}

static void take_registers(struct request *q, struct cursor *c)
{
	for (unsigned i = 0; i < q->count; i++)
		q->regs[i] = cursor_u16(c);
}

static bool take_bit_read(struct request *q, struct cursor *c)
{
	q->address = cursor_u16(c);
	q->count = cursor_u16(c);
	return fits(q->count, PDU_MAX_BITS);
}

static bool take_read(struct request *q, struct cursor *c)
{
	q->address = cursor_u16(c);
	q->count = cursor_u16(c);
	return fits(q->count, PDU_MAX_REGISTERS);
}

static bool take_coil(struct request *q, struct cursor *c)
{
	uint16_t value;

	q->address = cursor_u16(c);
	value = cursor_u16(c);
	q->count = 1;
	q->regs[0] = value == COIL_ON;
	return value == COIL_ON || value == 0;
}

static bool take_register(struct request *q, struct cursor *c)
{
	q->address = cursor_u16(c);
	q->count = 1;
	take_registers(q, c);
	return true;
}

static bool take_coils(struct request *q, struct cursor *c)
{
	uint8_t byte = 0;

	q->address = cursor_u16(c);
	q->count = cursor_u16(c);
	if (!fits(q->count, INQUIRY_COILS) || cursor_u8(c) != (q->count + 7) / 8)
		return false;
	for (unsigned i = 0; i < q->count; i++) {
		if (i % 8 == 0)
			byte = cursor_u8(c);
		q->regs[i] = byte >> i % 8 & 1;
	}
	return true;
}

static bool take_some_registers(struct request *q, struct cursor *c, unsigned most)
{
	q->address = cursor_u16(c);
	q->count = cursor_u16(c);
	if (!fits(q->count, most) || cursor_u8(c) != 2 * q->count)
		return false;
	take_registers(q, c);
	return true;
}

static bool take_write(struct request *q, struct cursor *c)
{
	return take_some_registers(q, c, PDU_MAX_WRITE);
}

static bool take_mask(struct request *q, struct cursor *c)
{
	q->address = cursor_u16(c);
	q->count = 1;
	q->and_mask = cursor_u16(c);
	q->or_mask = cursor_u16(c);
	return true;
}

static bool take_write_read(struct request *q, struct cursor *c)
{
	q->read_address = cursor_u16(c);
	q->read_count = cursor_u16(c);
	return fits(q->read_count, PDU_MAX_REGISTERS) && take_some_registers(q, c, PDU_MAX_WRITE_READ);
}

static bool (*const shapes[])(struct request *q, struct cursor *c) = {
	[FC_READ_COILS] = take_bit_read,
	[FC_READ_DISCRETE] = take_bit_read,
	[FC_READ_HOLDING] = take_read,
	[FC_READ_INPUT] = take_read,
	[FC_WRITE_COIL] = take_coil,
	[FC_WRITE_REGISTER] = take_register,
	[FC_WRITE_COILS] = take_coils,
	[FC_WRITE_REGISTERS] = take_write,
	[FC_MASK_WRITE] = take_mask,
	[FC_WRITE_READ] = take_write_read,
};

bool inquiry_knows(unsigned function)
{
	return function < sizeof(shapes) / sizeof(shapes[0]) && shapes[function];
}

static uint8_t objection(struct inquiry *q, struct cursor *c)
{
	struct request *r = &q->request;

	if (!inquiry_knows(q->function))
		return EXCEPTION_FUNCTION;
	if (!shapes[q->function](r, c) || !cursor_done(c))
		return EXCEPTION_VALUE;
	return r->address + r->count > 65536 || r->read_address + r->read_count > 65536 ? EXCEPTION_ADDRESS : 0;
}

enum inquiry_end inquiry_look(const uint8_t *bytes, size_t len, struct inquiry *out)
{
	struct cursor c = cursor_on(bytes, len);
	uint16_t protocol, rest;
	struct span frame;

	*out = (struct inquiry){.number = cursor_u16(&c)};
	protocol = cursor_u16(&c);
	rest = cursor_u16(&c);
	if (!cursor_ok(&c))
		return INQUIRY_MORE;
	if (protocol != 0 || rest < 2 || rest > PDU_MAX)
		return INQUIRY_WRONG;
	frame = cursor_span(&c, rest);
	if (!cursor_ok(&c))
		return INQUIRY_MORE;
	c = cursor_on(frame.at, frame.len);
	out->used = HEAD + (size_t)rest;
	out->unit = out->request.unit = cursor_u8(&c);
	out->function = out->request.function = cursor_u8(&c);
	out->refused = objection(out, &c);
	return INQUIRY_WHOLE;
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

/* The frame stands behind the head already. */
static size_t behind_head(const struct inquiry *q, size_t len, uint8_t *out)
{
	const uint8_t head[HEAD] = {(uint8_t)(q->number >> 8), (uint8_t)q->number, 0, 0, 0, (uint8_t)len};

	memcpy(out, head, sizeof(head));
	return HEAD + len;
}

size_t inquiry_refuse(const struct inquiry *q, uint8_t exception, uint8_t *out)
{
	out[HEAD] = q->unit;
	out[HEAD + 1] = q->function | EXCEPTION_BIT;
	out[HEAD + 2] = exception;
	return behind_head(q, 3, out);
}

static void put_values(const struct request *q, const struct reply *a, uint8_t *data)
{
	if (!pdu_is_bits(q->function)) {
		for (unsigned i = 0; i < a->count; i++) {
			data[2 * i] = (uint8_t)(a->regs[i] >> 8);
			data[2 * i + 1] = (uint8_t)a->regs[i];
		}
		return;
	}
	memset(data, 0, (a->count + 7u) / 8);
	for (unsigned i = 0; i < a->count; i++)
		data[i / 8] |= (uint8_t)(a->bits[i] << i % 8);
}

/* A write is answered by its own first bytes. */
size_t inquiry_answer(const struct inquiry *q, const struct reply *a, uint8_t *out)
{
	const struct request *r = &q->request;
	size_t len = pdu_reply_len(r);

	if (a->exception)
		return inquiry_refuse(q, a->exception, out);
	pdu_build(r, out + HEAD);
	if (pdu_is_read(r->function) || r->function == FC_WRITE_READ) {
		out[HEAD + 2] = (uint8_t)(len - 3);
		put_values(r, a, out + HEAD + 3);
	}
	return behind_head(q, len, out);
}
