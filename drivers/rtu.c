/* SPDX-License-Identifier: MIT */
/* What libmodbus leaves to its caller, and is done around it here:
 *   - a reply that comes late is taken for the answer to the next request: the line is read empty before each one,
 *     and what does not match the request is waited through;
 *   - bytes left over after an error spoil every later reply: the silence before the next request reads them away;
 *   - no silence is kept between frames: wire_quiet();
 *   - error recovery of its own loops for ever on an unplugged port: never switched on;
 *   - a broadcast is waited for: it is sent only;
 *   - a byte before a reply, as transceivers make when a device begins to drive the line, spoils the reply. Once one has
 *     come, the replies of this line are taken by the framing of our own, which knows what no frame begins with.
 */
#include "drivers/rtu.h"

#include "drivers/direction.h"
#include "drivers/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <modbus/modbus.h>

enum {
	BYTE_TIMEOUT_US = 40000, /* within a frame: adapters hand bytes over in lumps, up to 16 ms apart */
	EXCEPTION_LEN = 5,
	EARLY_US = 600,
	BROADCAST_PAUSE_US = 100000, /* for the slaves to work it off; nobody says when */
};

struct rtu {
	modbus_t *context; /* of a serial RTU line; NULL: all is done by framing */
	const struct framing *framing;
	bool glitches;   /* bytes come before replies here */
	uint16_t number; /* of the last transaction in a framing of our own */
};

int rtu_new(struct rtu **out, enum line_driver driver)
{
	struct rtu *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->framing = framing_of(driver);
	/* The name is never opened: descriptors are lent. */
	if (driver == DRIVER_MODBUS_RTU)
		r->context = modbus_new_rtu("/dev/null", 19200, 'N', 8, 1);
	if (driver == DRIVER_MODBUS_RTU &&
		(!r->context || modbus_set_byte_timeout(r->context, 0, BYTE_TIMEOUT_US) < 0 ||
			modbus_set_response_timeout(r->context, 0, BYTE_TIMEOUT_US) < 0)) {
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

static enum outcome of_errno(struct exchange *x, int error)
{
	switch (error) {
	case ETIMEDOUT: return exchange_fail(x, OUTCOME_GARBLED, "truncated");
	case EMBBADCRC: return exchange_fail(x, OUTCOME_GARBLED, "crc");
	case ECONNRESET:
	case EPIPE:
	case EBADF:
	case EIO:
	case ENXIO:
	case ENODEV: return exchange_fail(x, OUTCOME_GONE, "port");
	default: return exchange_fail(x, OUTCOME_GARBLED, "frame");
	}
}

/* --- a transaction --- */

static enum outcome swallow_echo(struct wire *w, struct exchange *x, const uint8_t *sent, size_t len)
{
	uint8_t back[PDU_MAX + 2];

	for (size_t got = 0; got < len + 2;) {
		int ready = wire_await_reply(w, x->sent_us + BYTE_TIMEOUT_US);
		size_t known = got < len ? len - got : 0;
		ssize_t n;

		if (ready == WIRE_TIMEOUT)
			return exchange_fail(x, OUTCOME_GARBLED, "no echo");
		if (ready != 0)
			return exchange_waited(x, ready, false);
		n = wire_read(w, back, len + 2 - got);
		if (n < 0)
			return exchange_fail(x, OUTCOME_GONE, "port");
		/* Of the CRC, which libmodbus made, only the number of bytes is known here. */
		if (memcmp(back, sent + got, (size_t)n < known ? (size_t)n : known) != 0)
			return exchange_echo(x, wire_drain(w, x->sent_us + x->timeout_us));
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

static enum outcome send(struct rtu *r, struct wire *w, struct exchange *x)
{
	uint8_t frame[PDU_MAX];
	size_t len = pdu_build(x->request, frame);

	note_request(w, frame, len);
	modbus_set_slave(r->context, x->request->unit);
	if (direction_talk(w->fd, w->line) < 0)
		return exchange_fail(x, OUTCOME_GONE, "port");
	if (modbus_send_raw_request(r->context, frame, (int)len) < 0) {
		int error = errno;

		direction_hush(w->fd, w->line);
		return of_errno(x, error);
	}
	wire_sent(w, len + 2);
	if (direction_listen(w->fd, w->line) < 0)
		return exchange_fail(x, OUTCOME_GONE, "port");
	x->sent_us = w->last_byte_us;
	return x->echo ? swallow_echo(w, x, frame, len) : OUTCOME_OK;
}

/* Sleeps while the reply passes: libmodbus, called at its first byte, would be woken by each lump of it. Five bytes
 * and silence behind them are an exception. A reply that stops half-way is left to libmodbus, which knows when. */
static int let_pass(struct wire *w, const struct exchange *x)
{
	size_t want = pdu_reply_len(x->request) + 2, here = wire_waiting(w);
	/* This wait was ended by a byte; later looks find what came some time before. A busy machine wakes us late: the
	 * last few bytes are waited for awake. */
	int64_t end_us = x->first_us + wire_span_us(w, want > here ? want - here : 0) - EARLY_US;
	int r = 0;

	if (here <= EXCEPTION_LEN && here < want) {
		int64_t known_us = x->first_us + wire_span_us(w, EXCEPTION_LEN - here) + w->silence_us;

		/* A short reply is over before an exception would be known for one. */
		r = wire_pause(w, known_us < end_us + EARLY_US ? known_us : end_us + EARLY_US);
		here = wire_waiting(w);
	}
	return r == 0 && here > EXCEPTION_LEN && here < want ? wire_pause(w, end_us) : r;
}

/* libmodbus leaves the bytes of a frame whose CRC is wrong where they are, and does not say how many: as many as its
 * function says. They are what `weir trace` is asked for. */
static enum outcome damaged(struct wire *w, struct exchange *x, const uint8_t *frame, int error)
{
	if (error == EMBBADCRC)
		wire_note(w, LINE_HEARD, x->first_us, frame, pdu_need(frame, PDU_MAX) + 2);
	return of_errno(x, error);
}

/* Of n bytes, without the CRC. libmodbus says 0 of a frame with another unit id, its CRC not looked at. */
static size_t frame_len(const uint8_t *frame, int n)
{
	size_t len = n > 2 ? (size_t)n - 2 : pdu_need(frame, PDU_MAX);
	uint16_t crc = pdu_crc(frame, len);

	return n > 2 || (frame[len] == (uint8_t)crc && frame[len + 1] == crc >> 8) ? len : 0;
}

/* What was taken for a reply may be one behind a byte too much. */
static bool begins_late(const struct exchange *x, const uint8_t *frame)
{
	size_t glitches = frame_glitches(frame, PDU_MAX);

	return glitches > 0 && frame[glitches] == x->request->unit;
}

/* One frame off the line; is it the one that was waited for? */
static enum outcome take_frame(struct rtu *r, struct wire *w, struct exchange *x, bool *answered)
{
	uint8_t frame[MODBUS_RTU_MAX_ADU_LENGTH + 4] = {0};
	int n;

	x->first_us = wire_now(w);
	n = let_pass(w, x);
	if (n != 0)
		return exchange_waited(x, n, false);
	n = modbus_receive_confirmation(r->context, frame);
	r->glitches = r->glitches || begins_late(x, frame);
	wire_heard(w);
	if (n < 0)
		return damaged(w, x, frame, errno);
	wire_note(w, LINE_HEARD, x->first_us, frame, (size_t)n);
	*answered = exchange_answered(x, frame, frame_len(frame, n));
	return OUTCOME_OK;
}

static enum outcome exchange(struct rtu *r, struct wire *w, struct exchange *x)
{
	enum outcome o;
	bool answered = false;
	int quiet = wire_quiet(w);

	if (quiet != 0)
		return exchange_waited(x, quiet, false);
	o = send(r, w, x);
	if (o != OUTCOME_OK)
		return o;
	if (x->request->unit == 0) {
		wire_rest(w, BROADCAST_PAUSE_US);
		return OUTCOME_OK;
	}
	while (!answered) {
		int ready = wire_await_reply(w, x->sent_us + x->timeout_us);

		if (ready != 0)
			return exchange_waited(x, ready, false);
		o = take_frame(r, w, x, &answered);
		if (o != OUTCOME_OK)
			return o;
	}
	x->done_us = w->last_byte_us;
	return OUTCOME_OK;
}

enum outcome rtu_exchange(struct rtu *r, struct wire *w, struct exchange *x)
{
	enum outcome o;

	exchange_begin(x);
	if (!r->context || r->glitches || x->request->function == FC_IDENTIFY || x->request->function == FC_LOOPBACK) {
		o = frame_exchange(r->framing, w, x, &r->number);
	} else {
		modbus_set_socket(r->context, w->fd);
		o = exchange(r, w, x);
		modbus_set_socket(r->context, -1);
	}
	return o == OUTCOME_OK && x->reply->exception ? exchange_refused(x) : o;
}
