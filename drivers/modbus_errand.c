/* SPDX-License-Identifier: MIT */
/* What is asked of a Modbus line while it polls: a point is written and read back, a table is read as it stands. */
#include "drivers/decode.h"
#include "drivers/encode.h"
#include "drivers/modbus_state.h"

uint8_t modbus_read_function(enum point_source source)
{
	static const uint8_t functions[] = {
		[SOURCE_COIL] = FC_READ_COILS,
		[SOURCE_DISCRETE] = FC_READ_DISCRETE,
		[SOURCE_INPUT] = FC_READ_INPUT,
		[SOURCE_HOLDING] = FC_READ_HOLDING,
	};

	return functions[source];
}

static struct request write_request(const struct modbus *m, const struct errand *e)
{
	const struct point_opts *p = e->point;

	return (struct request){.unit = (uint8_t)m->opts->devices[e->device]->unit, .address = p->address, .count = 1};
}

/* The other bits of the register stay as they are: read, changed, written, with nothing in between on this line. */
static enum outcome merge_field(struct modbus *m, const struct errand *e, struct request *q, struct exchange *x)
{
	struct request read = *q;
	uint16_t mask = encode_mask(e->point);
	enum outcome o;

	if (e->point->order & ORDER_SWAP_BYTES)
		mask = (uint16_t)(mask >> 8 | mask << 8);
	read.function = FC_READ_HOLDING;
	o = modbus_exchange(m, e->device, &read, x);
	if (o == OUTCOME_OK)
		q->regs[0] = (uint16_t)((m->reply.regs[0] & ~mask) | (q->regs[0] & mask));
	return o;
}

static enum outcome write_registers(struct modbus *m, const struct errand *e, struct exchange *x)
{
	struct request q = write_request(m, e);
	int r = encode_registers(e->point, &e->value, q.regs);
	enum outcome o = OUTCOME_OK;

	if (r != 0) {
		x->reason = encode_reason(r);
		return OUTCOME_REFUSED;
	}
	q.count = (uint16_t)point_words(e->point);
	q.function = q.count == 1 ? FC_WRITE_REGISTER : FC_WRITE_REGISTERS;
	if (e->point->width > 0)
		o = merge_field(m, e, &q, x);
	return o == OUTCOME_OK ? modbus_exchange(m, e->device, &q, x) : o;
}

static enum outcome write_coil(struct modbus *m, const struct errand *e, struct exchange *x)
{
	struct request q = write_request(m, e);

	q.function = FC_WRITE_COIL;
	q.regs[0] = encode_bool(&e->value);
	return modbus_exchange(m, e->device, &q, x);
}

static enum outcome read_back(struct modbus *m, struct errand *e, struct exchange *x)
{
	struct request q = write_request(m, e);
	enum outcome o;

	q.function = modbus_read_function(e->point->source);
	q.count = (uint16_t)point_words(e->point);
	o = modbus_exchange(m, e->device, &q, x);
	if (o != OUTCOME_OK)
		return o;
	e->has_back = (pdu_is_bits(q.function) ? decode_bit(e->point, m->reply.bits[0], &e->back)
					       : decode_registers(e->point, m->reply.regs, e->text, &e->back)) == 0;
	return o;
}

/* A device that takes a write and refuses to have it read is believed; one that falls silent is not. */
enum outcome modbus_write(void *self, struct errand *e, const char **reason)
{
	struct modbus *m = self;
	struct exchange x = {0};
	enum outcome o = e->point->source == SOURCE_COIL ? write_coil(m, e, &x) : write_registers(m, e, &x);

	if (o == OUTCOME_OK && (!line_is_bus(m->opts) || m->opts->devices[e->device]->unit != 0)) {
		o = read_back(m, e, &x);
		if (o == OUTCOME_REFUSED)
			o = OUTCOME_OK;
	}
	*reason = o == OUTCOME_OK ? NULL : x.reason;
	return o;
}

enum outcome modbus_read(void *self, struct errand *e, const char **reason)
{
	struct modbus *m = self;
	struct request q = {.unit = (uint8_t)(e->unit < 0 ? m->opts->devices[e->device]->unit : e->unit),
		.function = modbus_read_function(e->source),
		.address = e->address,
		.count = e->count};
	struct exchange x;
	enum outcome o =
		modbus_exchange_with(m, &q, &x, e->timeout_us ? e->timeout_us : line_timeout_us(m->line, e->device));

	*reason = x.reason;
	for (size_t i = 0; o == OUTCOME_OK && i < e->count; i++)
		e->regs[i] = pdu_is_bits(q.function) ? m->reply.bits[i] : m->reply.regs[i];
	return o;
}
