/* SPDX-License-Identifier: MIT */
/* What libmodbus leaves to its caller, and is done around it here:
 *   - a reply that comes late is taken for the answer to the next request: the line is read empty before each one,
 *     and what does not match the request is waited through;
 *   - bytes left over after an error spoil every later reply: the silence before the next request reads them away;
 *   - no silence is kept between frames: wire_quiet();
 *   - error recovery of its own loops for ever on an unplugged port: never switched on;
 *   - a broadcast is waited for: it is sent only.
 */
#include "drivers/rtu.h"

#include "drivers/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <modbus/modbus.h>

enum {
	BYTE_TIMEOUT_US = 40000,     /* within a frame: adapters hand bytes over in lumps, up to 16 ms apart */
	BROADCAST_PAUSE_US = 100000, /* for the slaves to work it off; nobody says when */
	EXCEPTION_GATEWAY_PATH = 10,
	EXCEPTION_GATEWAY_TARGET = 11,
};

struct rtu {
	modbus_t *context;
	enum line_driver framing;
	bool tcp;
	uint16_t number; /* of the last transaction in a framing of our own */
};

int rtu_new(struct rtu **out, enum line_driver framing)
{
	struct rtu *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->framing = framing;
	r->tcp = framing == DRIVER_MODBUS_TCP;
	/* Neither name is ever opened: descriptors are lent. */
	r->context = r->tcp ? modbus_new_tcp("127.0.0.1", 502) : modbus_new_rtu("/dev/null", 19200, 'N', 8, 1);
	if (!r->context || modbus_set_byte_timeout(r->context, 0, BYTE_TIMEOUT_US) < 0) {
		rtu_free(r);
		return -ENOMEM;
	}
	*out = r;
	return 0;
}

void rtu_free(struct rtu *r)
{
	if (!r)
		return;
	if (r->context) {
		modbus_set_socket(r->context, -1);
		modbus_free(r->context);
	}
	free(r);
}

const char *rtu_exception_text(unsigned code)
{
	static const char *const texts[] = {"exception", "exception 1", "exception 2", "exception 3", "exception 4",
		"exception 5", "exception 6", "exception 7", "exception 8", "exception 9", "exception 10",
		"exception 11"};

	return texts[code < sizeof(texts) / sizeof(texts[0]) ? code : 0];
}

static enum outcome fail(struct exchange *x, enum outcome outcome, const char *reason)
{
	x->reason = reason;
	return outcome;
}

/* A gateway that says its target is silent speaks for nobody but itself. */
static enum outcome refused(struct exchange *x)
{
	unsigned code = x->reply->exception;

	return fail(x,
		code == EXCEPTION_GATEWAY_PATH || code == EXCEPTION_GATEWAY_TARGET ? OUTCOME_SILENT : OUTCOME_REFUSED,
		rtu_exception_text(code));
}

static enum outcome of_wait(struct exchange *x, int r)
{
	switch (r) {
	case WIRE_TIMEOUT: return fail(x, OUTCOME_SILENT, "timeout");
	case WIRE_NOISY: return fail(x, OUTCOME_GARBLED, "noise");
	case -ECANCELED: return fail(x, OUTCOME_STOPPED, "stopped");
	default: return fail(x, OUTCOME_GONE, "port");
	}
}

static enum outcome of_errno(struct exchange *x, int error)
{
	switch (error) {
	case ETIMEDOUT: return fail(x, OUTCOME_GARBLED, "truncated");
	case EMBBADCRC: return fail(x, OUTCOME_GARBLED, "crc");
	case ECONNRESET:
	case EPIPE:
	case EBADF:
	case EIO:
	case ENXIO:
	case ENODEV: return fail(x, OUTCOME_GONE, "port");
	default: return fail(x, OUTCOME_GARBLED, "frame");
	}
}

static int set_timeout(modbus_t *context, int64_t us)
{
	if (us < 1000)
		us = 1000;
	return modbus_set_response_timeout(context, (uint32_t)(us / 1000000), (uint32_t)(us % 1000000));
}

/* --- RTU --- */

static enum outcome swallow_echo(struct rtu *r, struct wire *w, struct exchange *x, const uint8_t *sent, size_t len)
{
	uint8_t byte;

	(void)r;
	for (size_t got = 0; got < len + 2;) {
		int ready = wire_await(w, x->sent_us + BYTE_TIMEOUT_US);
		ssize_t n;

		if (ready == WIRE_TIMEOUT)
			return fail(x, OUTCOME_GARBLED, "no echo");
		if (ready != 0)
			return of_wait(x, ready);
		n = wire_read(w, &byte, 1);
		if (n < 0)
			return fail(x, OUTCOME_GONE, "port");
		/* Of the CRC, which libmodbus made, only the number of bytes is known here. */
		if (n == 1 && got < len && byte != sent[got])
			return fail(x, OUTCOME_GARBLED, "echo");
		got += (size_t)n;
	}
	return OUTCOME_OK;
}

/* As it stands on the wire, with the CRC that libmodbus puts behind it. */
static void note_request(struct wire *w, const uint8_t *frame, size_t len)
{
	uint8_t sent[PDU_MAX + 2];
	uint16_t crc = pdu_crc(frame, len);

	memcpy(sent, frame, len);
	sent[len] = (uint8_t)crc;
	sent[len + 1] = (uint8_t)(crc >> 8);
	wire_note(w, LINE_SENT, wire_now(w), sent, len + 2);
}

static enum outcome send_rtu(struct rtu *r, struct wire *w, struct exchange *x)
{
	uint8_t frame[PDU_MAX];
	size_t len = pdu_build(x->request, frame);

	note_request(w, frame, len);
	modbus_set_slave(r->context, x->request->unit);
	if (modbus_send_raw_request(r->context, frame, (int)len) < 0)
		return of_errno(x, errno);
	wire_sent(w, len + 2);
	x->sent_us = w->last_byte_us;
	return x->echo ? swallow_echo(r, w, x, frame, len) : OUTCOME_OK;
}

/* One frame off the line. PDU_FOREIGN: not the one that was waited for. */
static enum outcome take_frame(struct rtu *r, struct wire *w, struct exchange *x, int *match)
{
	uint8_t frame[MODBUS_RTU_MAX_ADU_LENGTH + 4];
	int n;

	x->first_us = wire_now(w);
	if (set_timeout(r->context, BYTE_TIMEOUT_US) < 0)
		return of_errno(x, errno);
	n = modbus_receive_confirmation(r->context, frame);
	wire_heard(w);
	if (n < 0)
		return of_errno(x, errno);
	wire_note(w, LINE_HEARD, x->first_us, frame, (size_t)n);
	/* 0: a frame with another unit id, its CRC not looked at. */
	*match = n < 3 ? PDU_FOREIGN : pdu_match(x->request, frame, (size_t)n - 2, x->reply);
	return OUTCOME_OK;
}

static enum outcome exchange_rtu(struct rtu *r, struct wire *w, struct exchange *x)
{
	enum outcome o;
	int match = PDU_FOREIGN;
	int quiet = wire_quiet(w, 0);

	if (quiet != 0)
		return of_wait(x, quiet);
	o = send_rtu(r, w, x);
	if (o != OUTCOME_OK)
		return o;
	if (x->request->unit == 0) {
		w->last_byte_us += BROADCAST_PAUSE_US;
		return OUTCOME_OK;
	}
	while (match == PDU_FOREIGN) {
		int ready = wire_await(w, x->sent_us + x->timeout_us);

		if (ready == WIRE_TIMEOUT && x->foreign > 0)
			return fail(x, OUTCOME_SILENT, "foreign");
		if (ready != 0)
			return of_wait(x, ready);
		o = take_frame(r, w, x, &match);
		if (o != OUTCOME_OK)
			return o;
		x->foreign += match == PDU_FOREIGN;
	}
	x->done_us = w->last_byte_us;
	return x->reply->exception ? refused(x) : OUTCOME_OK;
}

/* --- TCP --- */

static int read_tcp(modbus_t *c, const struct request *q, struct reply *out)
{
	switch (q->function) {
	case FC_READ_COILS: return modbus_read_bits(c, q->address, q->count, out->bits);
	case FC_READ_DISCRETE: return modbus_read_input_bits(c, q->address, q->count, out->bits);
	case FC_READ_HOLDING: return modbus_read_registers(c, q->address, q->count, out->regs);
	default: return modbus_read_input_registers(c, q->address, q->count, out->regs);
	}
}

static int write_tcp(modbus_t *c, const struct request *q)
{
	uint8_t bits[PDU_MAX_WRITE];

	switch (q->function) {
	case FC_WRITE_COIL: return modbus_write_bit(c, q->address, q->regs[0] != 0);
	case FC_WRITE_REGISTER: return modbus_write_register(c, q->address, q->regs[0]);
	case FC_MASK_WRITE: return modbus_mask_write_register(c, q->address, q->and_mask, q->or_mask);
	case FC_WRITE_REGISTERS: return modbus_write_registers(c, q->address, q->count, q->regs);
	default:
		for (size_t i = 0; i < q->count; i++)
			bits[i] = q->regs[i] != 0;
		return modbus_write_bits(c, q->address, q->count, bits);
	}
}

static enum outcome of_tcp_errno(struct exchange *x, int error)
{
	int code = error - MODBUS_ENOBASE;

	if (code > 0 && code <= EXCEPTION_GATEWAY_TARGET) {
		x->reply->exception = (uint8_t)code;
		return refused(x);
	}
	return error == ETIMEDOUT ? fail(x, OUTCOME_SILENT, "timeout") : of_errno(x, error);
}

static enum outcome exchange_tcp(struct rtu *r, struct wire *w, struct exchange *x)
{
	const struct request *q = x->request;
	uint8_t pdu[PDU_MAX];
	int n;

	/* Whatever waits now was not asked for: a connection that speaks out of turn is not to be trusted. */
	switch (wire_await(w, wire_now(w))) {
	case WIRE_TIMEOUT: break;
	case 0: return fail(x, OUTCOME_GONE, "port");
	case -ECANCELED: return fail(x, OUTCOME_STOPPED, "stopped");
	default: return fail(x, OUTCOME_GONE, "port");
	}
	modbus_set_slave(r->context, q->unit);
	if (set_timeout(r->context, x->timeout_us) < 0)
		return of_errno(x, errno);
	x->sent_us = wire_now(w);
	wire_note(w, LINE_SENT, x->sent_us, pdu, pdu_build(q, pdu));
	n = pdu_is_read(q->function) ? read_tcp(r->context, q, x->reply) : write_tcp(r->context, q);
	wire_heard(w);
	x->first_us = x->done_us = w->last_byte_us;
	if (n < 0)
		return of_tcp_errno(x, errno);
	x->reply->count = q->count;
	return OUTCOME_OK;
}

enum outcome rtu_exchange(struct rtu *r, struct wire *w, struct exchange *x)
{
	enum outcome o;

	x->reply->exception = 0;
	x->reply->count = 0;
	x->sent_us = x->first_us = x->done_us = 0;
	x->foreign = 0;
	x->reason = NULL;
	if (r->framing == DRIVER_MODBUS_ASCII || x->request->function == FC_IDENTIFY) {
		o = frame_exchange(framing_of(r->framing), w, x, ++r->number);
		return o == OUTCOME_OK && x->reply->exception ? refused(x) : o;
	}
	modbus_set_socket(r->context, w->fd);
	o = r->tcp ? exchange_tcp(r, w, x) : exchange_rtu(r, w, x);
	modbus_set_socket(r->context, -1);
	return o;
}
