/* SPDX-License-Identifier: MIT */
/* What is asked of a Modbus line while it polls: a point is written and read back, a table is read as it stands, a
 * device says who it is. */
#include "drivers/decode.h"
#include "drivers/encode.h"
#include "drivers/modbus_state.h"

#include <stdio.h>

enum { EXCEPTION_FUNCTION = 1, MOST_IDENTIFY_REPLIES = 8 };

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

/* --- writes ---------------------------------------------------------------------------------------------------- */

static struct request write_request(const struct modbus *m, const struct errand *e)
{
	return (struct request){
		.unit = (uint8_t)m->opts->devices[e->device]->unit, .address = e->point->write_address, .count = 1};
}

static bool is_broadcast(const struct modbus *m, const struct errand *e)
{
	return line_is_bus(m->opts) && m->opts->devices[e->device]->unit == 0;
}

/* The device does it by itself, so nobody can come in between. OUTCOME_REFUSED, OUTCOME_SILENT: it knows no such
 * function, or does not say so. */
static enum outcome mask_register(
	struct modbus *m, const struct errand *e, const struct request *plain, uint16_t mask, struct exchange *x)
{
	struct request q = *plain;

	q.function = FC_MASK_WRITE;
	q.and_mask = (uint16_t)~mask;
	q.or_mask = plain->regs[0] & mask;
	return modbus_exchange(m, e->device, &q, x);
}

/* The other bits stay as they are: read, changed, written, with nothing in between on this line. */
static enum outcome merge_registers(
	struct modbus *m, const struct errand *e, struct request *q, const uint16_t *masks, struct exchange *x)
{
	struct request read = {.unit = q->unit, .function = FC_READ_HOLDING, .address = q->address, .count = q->count};
	enum outcome o = modbus_exchange(m, e->device, &read, x);

	for (unsigned i = 0; o == OUTCOME_OK && i < q->count; i++)
		q->regs[i] = (uint16_t)((m->reply.regs[i] & ~masks[i]) | (q->regs[i] & masks[i]));
	return o;
}

/* A device without function 6, or without 16: one register after the other. */
static enum outcome write_each(struct modbus *m, const struct errand *e, const struct request *all, struct exchange *x)
{
	enum outcome o = OUTCOME_OK;

	for (uint16_t i = 0; o == OUTCOME_OK && i < all->count; i++) {
		struct request q = {.unit = all->unit,
			.function = FC_WRITE_REGISTER,
			.address = (uint16_t)(all->address + i),
			.count = 1,
			.regs = {all->regs[i]}};

		o = modbus_exchange(m, e->device, &q, x);
	}
	return o;
}

static int keep_back(const struct modbus *m, struct errand *e)
{
	int r = decode_registers(e->point, m->reply.regs, e->text, &e->back);

	e->has_back = r == 0;
	return r;
}

/* Written and read back in one: what comes back is the reply to this very write. */
static enum outcome write_and_read(struct modbus *m, struct errand *e, struct request *q, struct exchange *x)
{
	enum outcome o;

	q->function = FC_WRITE_READ;
	q->read_address = e->point->address;
	q->read_count = q->count;
	o = modbus_exchange(m, e->device, q, x);
	if (o == OUTCOME_OK)
		keep_back(m, e);
	return o;
}

static enum outcome put_registers(struct modbus *m, struct errand *e, struct request *q, struct exchange *x)
{
	const struct device_opts *d = m->opts->devices[e->device];

	if (d->writes == WRITES_SINGLE)
		return write_each(m, e, q, x);
	if (d->writes == WRITES_READ && !is_broadcast(m, e) && e->point->source == SOURCE_HOLDING &&
		q->count <= PDU_MAX_WRITE_READ)
		return write_and_read(m, e, q, x);
	q->function = q->count > 1 || d->writes == WRITES_MULTIPLE ? FC_WRITE_REGISTERS : FC_WRITE_REGISTER;
	return modbus_exchange(m, e->device, q, x);
}

static enum outcome write_field(struct modbus *m, struct errand *e, struct request *q, struct exchange *x)
{
	const struct device_opts *d = m->opts->devices[e->device];
	uint16_t masks[4];
	enum outcome o;
	bool mask = q->count == 1 && d->mask_write == MASK_AUTO && !m->no_mask[e->device];

	encode_mask(e->point, masks);
	if (mask) {
		o = mask_register(m, e, q, masks[0], x);
		if (is_broadcast(m, e) || (o != OUTCOME_REFUSED && o != OUTCOME_SILENT))
			return o;
		m->no_mask[e->device] = o == OUTCOME_SILENT || m->reply.exception == EXCEPTION_FUNCTION;
	}
	o = merge_registers(m, e, q, masks, x);
	return o == OUTCOME_OK ? put_registers(m, e, q, x) : o;
}

static enum outcome write_registers(struct modbus *m, struct errand *e, struct exchange *x)
{
	struct request q = write_request(m, e);
	int r = encode_registers(e->point, &e->value, q.regs);

	if (r != 0) {
		x->reason = encode_reason(r);
		return OUTCOME_REFUSED;
	}
	q.count = (uint16_t)point_words(e->point);
	return e->point->width > 0 ? write_field(m, e, &q, x) : put_registers(m, e, &q, x);
}

static enum outcome write_coil(struct modbus *m, const struct errand *e, struct exchange *x)
{
	struct request q = write_request(m, e);
	bool on;
	int r = encode_bit(e->point, &e->value, &on);

	if (r != 0) {
		x->reason = encode_reason(r);
		return OUTCOME_REFUSED;
	}
	q.function = m->opts->devices[e->device]->writes == WRITES_MULTIPLE ? FC_WRITE_COILS : FC_WRITE_COIL;
	q.regs[0] = on;
	return modbus_exchange(m, e->device, &q, x);
}

/* From where the point is polled: what everybody will see of it. */
static enum outcome read_back(struct modbus *m, struct errand *e, struct exchange *x)
{
	struct request q = {.unit = (uint8_t)m->opts->devices[e->device]->unit,
		.function = modbus_read_function(e->point->source),
		.address = e->point->address,
		.count = (uint16_t)point_words(e->point)};
	enum outcome o;

	if (pdu_is_bits(q.function))
		q.count = 1;
	o = modbus_exchange(m, e->device, &q, x);
	if (o != OUTCOME_OK)
		return o;
	if (pdu_is_bits(q.function))
		e->has_back = decode_bit(e->point, m->reply.bits[0], e->text, &e->back) == 0;
	else
		keep_back(m, e);
	return o;
}

/* A device that takes a write and refuses to have it read is believed; one that falls silent is not. */
enum outcome modbus_write(void *self, struct errand *e, const char **reason)
{
	struct modbus *m = self;
	struct exchange x = {0};
	enum outcome o = e->point->write_source == SOURCE_COIL ? write_coil(m, e, &x) : write_registers(m, e, &x);

	if (o == OUTCOME_OK && !e->has_back && !is_broadcast(m, e)) {
		o = read_back(m, e, &x);
		if (o == OUTCOME_REFUSED)
			o = OUTCOME_OK;
	}
	*reason = o == OUTCOME_OK ? NULL : x.reason;
	return o;
}

/* --- reads ----------------------------------------------------------------------------------------------------- */

static uint8_t unit_of(const struct modbus *m, const struct errand *e)
{
	return (uint8_t)(e->unit < 0 ? m->opts->devices[e->device]->unit : e->unit);
}

static int64_t timeout_of(const struct modbus *m, const struct errand *e)
{
	return e->timeout_us ? e->timeout_us : line_timeout_us(m->line, e->device);
}

static enum outcome read_table(struct modbus *m, struct errand *e, struct exchange *x)
{
	struct request q = {.unit = unit_of(m, e),
		.function = modbus_read_function(e->source),
		.address = e->address,
		.count = e->count};
	enum outcome o = modbus_exchange_with(m, &q, x, timeout_of(m, e));

	for (size_t i = 0; o == OUTCOME_OK && i < e->count; i++)
		e->regs[i] = pdu_is_bits(q.function) ? m->reply.bits[i] : m->reply.regs[i];
	e->exception = o == OUTCOME_REFUSED ? m->reply.exception : 0;
	return o;
}

static const char *object_name(uint8_t id)
{
	static const char *const names[] = {"vendor", "product", "revision", "url", "name", "model", "application"};

	return id < sizeof(names) / sizeof(names[0]) ? names[id] : "more";
}

/* "vendor: Acme\n": what is not printable stays out. */
static void add_object(struct errand *e, size_t *len, uint8_t id, const uint8_t *text, size_t n)
{
	size_t room = sizeof(e->text) - *len;
	int head = snprintf(e->text + *len, room, "%s: ", object_name(id));

	if (head < 0 || (size_t)head + n + 2 > room)
		return;
	*len += (size_t)head;
	for (size_t i = 0; i < n; i++)
		if (text[i] >= ' ' && text[i] < 0x7f)
			e->text[(*len)++] = (char)text[i];
	e->text[(*len)++] = '\n';
	e->text[*len] = '\0';
}

/* All objects of one level, over as many replies as it takes. */
static enum outcome identify_as(struct modbus *m, struct errand *e, uint8_t code, struct exchange *x)
{
	struct request q = {.unit = unit_of(m, e), .function = FC_IDENTIFY, .code = code};
	enum outcome o = OUTCOME_OK;
	size_t len = 0;
	bool more = true;

	for (int i = 0; o == OUTCOME_OK && more && i < MOST_IDENTIFY_REPLIES; i++) {
		const struct pdu_objects *objects = &m->reply.objects;
		const uint8_t *text;
		size_t at = 0, n;
		uint8_t id;

		o = modbus_exchange_with(m, &q, x, timeout_of(m, e));
		while (o == OUTCOME_OK && pdu_object(objects, &at, &id, &text, &n))
			add_object(e, &len, id, text, n);
		more = o == OUTCOME_OK && objects->more && objects->next > q.object;
		q.object = more ? objects->next : q.object;
	}
	e->back = (struct value){.kind = VALUE_TEXT, .text = {e->text, len}};
	e->has_back = len > 0;
	return o;
}

/* One that knows less than the regular level should answer with what it knows; some refuse. */
static enum outcome identify(struct modbus *m, struct errand *e, struct exchange *x)
{
	enum outcome o = identify_as(m, e, IDENTIFY_REGULAR, x);

	if (o == OUTCOME_REFUSED && m->reply.exception != EXCEPTION_FUNCTION)
		o = identify_as(m, e, IDENTIFY_BASIC, x);
	e->exception = o == OUTCOME_REFUSED ? m->reply.exception : 0;
	return o;
}

static enum outcome relay(struct modbus *m, struct errand *e, struct exchange *x)
{
	enum outcome o = modbus_exchange_with(m, e->request, x, timeout_of(m, e));

	if (o == OUTCOME_OK || o == OUTCOME_REFUSED)
		*e->reply = m->reply;
	return o;
}

static enum outcome ask(struct modbus *m, struct errand *e, struct exchange *x)
{
	switch (e->kind) {
	case ERRAND_IDENTIFY: return identify(m, e, x);
	case ERRAND_RELAY: return relay(m, e, x);
	default: return read_table(m, e, x);
	}
}

/* The port set up in another way for this one errand, and back. */
static enum outcome ask_otherwise(struct modbus *m, struct errand *e, struct exchange *x)
{
	enum outcome o;

	if (modbus_reopen(m, e->port_as) < 0) {
		x->reason = "port";
		return OUTCOME_GONE;
	}
	o = ask(m, e, x);
	if (modbus_reopen(m, m->opts) < 0) {
		x->reason = "port";
		o = OUTCOME_GONE;
	}
	return o;
}

enum outcome modbus_read(void *self, struct errand *e, const char **reason)
{
	struct modbus *m = self;
	struct exchange x = {0};
	enum outcome o = e->port_as ? ask_otherwise(m, e, &x) : ask(m, e, &x);

	*reason = x.reason;
	return o;
}
