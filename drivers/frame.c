/* SPDX-License-Identifier: MIT */
#include "drivers/frame.h"

#include "drivers/ahead.h"

#include <string.h>

enum {
	RTU_GAP_US = 40000, /* adapters hand bytes over in lumps, up to 16 ms apart */
	ASCII_GAP_US = 1000000,
	TCP_GAP_US = 1000000,
	BROADCAST_PAUSE_US = 100000, /* for the slaves to work it off; nobody says when */
	MBAP = 6,                    /* number, protocol, length */
	LAST_UNIT = 247,             /* on a bus; who answers is one from 1 on */
	MOST_GLITCHES = 3,
};

/* --- RTU ------------------------------------------------------------------------------------------------------- */

static size_t rtu_build(uint8_t *out, const uint8_t *frame, size_t len, uint16_t number)
{
	uint16_t crc = pdu_crc(frame, len);

	(void)number;
	memcpy(out, frame, len);
	out[len] = (uint8_t)crc;
	out[len + 1] = (uint8_t)(crc >> 8);
	return len + 2;
}

size_t frame_glitches(const uint8_t *wire, size_t len)
{
	size_t n = 0;

	while (n < len && n < MOST_GLITCHES && (wire[n] == 0 || wire[n] > LAST_UNIT))
		n++;
	return n;
}

static enum frame_end rtu_look(const uint8_t *wire, size_t len, uint16_t number, struct frame_look *out)
{
	uint16_t crc;

	(void)number;
	out->glitches = frame_glitches(wire, len);
	wire += out->glitches;
	len -= out->glitches;
	out->len = pdu_need(wire, len);
	out->used = out->want = out->glitches + out->len + 2;
	if (out->len + 2 > len)
		return FRAME_MORE;
	crc = pdu_crc(wire, out->len);
	if (out->len > PDU_MAX || wire[out->len] != (uint8_t)crc || wire[out->len + 1] != crc >> 8) {
		out->reason = "crc";
		return FRAME_WRONG;
	}
	memcpy(out->frame, wire, out->len);
	return FRAME_WHOLE;
}

/* --- TCP ------------------------------------------------------------------------------------------------------- */

static size_t tcp_build(uint8_t *out, const uint8_t *frame, size_t len, uint16_t number)
{
	const uint8_t head[MBAP] = {(uint8_t)(number >> 8), (uint8_t)number, 0, 0, 0, (uint8_t)len};

	memcpy(out, head, sizeof(head));
	memcpy(out + MBAP, frame, len);
	return MBAP + len;
}

static enum frame_end tcp_look(const uint8_t *wire, size_t len, uint16_t number, struct frame_look *out)
{
	out->want = MBAP;
	if (len < MBAP)
		return FRAME_MORE;
	out->len = (size_t)wire[4] << 8 | wire[5];
	if (wire[2] || wire[3] || out->len < 3 || out->len > PDU_MAX) {
		out->reason = "frame";
		return FRAME_WRONG;
	}
	out->used = out->want = MBAP + out->len;
	if (len < out->want)
		return FRAME_MORE;
	memcpy(out->frame, wire + MBAP, out->len);
	return (wire[0] << 8 | wire[1]) == number ? FRAME_WHOLE : FRAME_FOREIGN;
}

/* --- ASCII ----------------------------------------------------------------------------------------------------- */

static size_t ascii_put(uint8_t *out, const uint8_t *frame, size_t len, uint16_t number)
{
	(void)number;
	return ascii_build(frame, len, out);
}

/* Read anew at each end of a line: what stands before the colon was noise. */
static enum frame_end ascii_look(const uint8_t *wire, size_t len, uint16_t number, struct frame_look *out)
{
	struct cursor c = cursor_on(wire, len);
	struct ascii a = {0};
	enum ascii_outcome o = memchr(wire, '\n', len) ? ascii_take(&a, &c) : ASCII_MORE;

	(void)number;
	out->want = FRAME_WIRE_MAX;
	if (o == ASCII_MORE && len < FRAME_WIRE_MAX)
		return FRAME_MORE;
	out->used = (size_t)(c.at - wire);
	out->len = a.len;
	out->reason = "lrc";
	if (o != ASCII_FRAME)
		return FRAME_WRONG;
	memcpy(out->frame, a.frame, a.len);
	return FRAME_WHOLE;
}

/* --- the transaction ------------------------------------------------------------------------------------------- */

const struct framing *framing_of(enum line_driver driver)
{
	static const struct framing rows[] = {
		[DRIVER_MODBUS_RTU] = {rtu_build, rtu_look, RTU_GAP_US, 0, true},
		[DRIVER_RTU_OVER_TCP] = {rtu_build, rtu_look, RTU_GAP_US, 0, true},
		[DRIVER_MODBUS_TCP] = {tcp_build, tcp_look, TCP_GAP_US, MBAP, false},
		[DRIVER_MODBUS_ASCII] = {ascii_put, ascii_look, ASCII_GAP_US, 0, true},
	};

	return driver < sizeof(rows) / sizeof(rows[0]) && rows[driver].build ? &rows[driver] : NULL;
}

/* What the adapter returns of the request must be the request. */
static enum outcome swallow_echo(struct wire *w, struct exchange *x, const uint8_t *sent, size_t len)
{
	uint8_t back[FRAME_WIRE_MAX];

	for (size_t got = 0; got < len;) {
		int ready = wire_await_reply(w, x->sent_us + RTU_GAP_US);
		ssize_t n;

		if (ready == WIRE_TIMEOUT)
			return exchange_fail(x, OUTCOME_GARBLED, "no echo");
		if (ready != 0)
			return exchange_waited(x, ready, false);
		n = wire_read(w, back, len - got);
		if (n < 0)
			return exchange_fail(x, OUTCOME_GONE, "port");
		if (memcmp(back, sent + got, (size_t)n) != 0)
			return exchange_echo(x, wire_drain(w, x->sent_us + x->timeout_us));
		got += (size_t)n;
	}
	return OUTCOME_OK;
}

static enum outcome ask(const struct framing *f, struct wire *w, struct exchange *x, uint16_t number)
{
	uint8_t frame[PDU_MAX], bytes[FRAME_WIRE_MAX];
	size_t len = f->build(bytes, frame, pdu_build(x->request, frame), number);
	int r;

	wire_note(w, LINE_SENT, wire_now(w), bytes + f->head, len - f->head);
	r = wire_put(w, bytes, len);
	if (r != 0)
		return r == WIRE_TIMEOUT ? exchange_fail(x, OUTCOME_GONE, "port") : exchange_waited(x, r, false);
	x->sent_us = w->last_byte_us;
	return x->echo ? swallow_echo(w, x, bytes, len) : OUTCOME_OK;
}

/* What came of the reply so far. */
struct heard {
	uint8_t bytes[FRAME_WIRE_MAX];
	size_t len;
	struct frame_look look;
};

static enum outcome read_more(const struct framing *f, struct wire *w, struct exchange *x, struct heard *h)
{
	int ready = wire_await_reply(w, h->len ? w->last_byte_us + f->gap_us : x->sent_us + x->timeout_us);
	ssize_t n;

	if (ready != 0)
		return exchange_waited(x, ready, h->len > 0);
	n = wire_read(w, h->bytes + h->len, h->look.want - h->len);
	if (n < 0)
		return exchange_fail(x, OUTCOME_GONE, "port");
	if (x->first_us == 0)
		x->first_us = w->last_byte_us;
	h->len += (size_t)n;
	return OUTCOME_OK;
}

/* Of a request that is under way, too: who answers others first is not silent. */
static bool is_of_another(struct exchange *x, const struct heard *h, enum frame_end end)
{
	uint16_t number = (uint16_t)(h->bytes[0] << 8 | h->bytes[1]);

	if (end != FRAME_FOREIGN || !x->ahead ||
		!ahead_heard(x->ahead, number, h->look.frame, h->look.len, x->first_us, x->done_us))
		return false;
	x->sent_us = x->done_us;
	return true;
}

/* A whole frame. True: it is the reply to x. Else its bytes are gone, and what came behind them is looked at next. */
static bool take_frame(const struct framing *f, struct wire *w, struct exchange *x, struct heard *h, enum frame_end end)
{
	wire_note(w, LINE_HEARD, x->first_us, h->bytes + f->head, h->look.used - f->head);
	w->noise_bytes += h->look.glitches;
	x->done_us = w->last_byte_us;
	if (end == FRAME_WHOLE && exchange_answered(x, h->look.frame, h->look.len))
		return true;
	if (!is_of_another(x, h, end))
		x->foreign += end == FRAME_FOREIGN;
	else
		wire_hurry(w);
	x->first_us = 0;
	h->len -= h->look.used;
	memmove(h->bytes, h->bytes + h->look.used, h->len);
	return false;
}

/* What came of a reply that is damaged or cut short: for `weir trace`. */
static void note_rest(struct wire *w, const struct exchange *x, const struct heard *h)
{
	if (h->len > 0)
		wire_note(w, LINE_HEARD, x->first_us, h->bytes, h->len);
}

static enum outcome hear(const struct framing *f, struct wire *w, struct exchange *x, uint16_t number)
{
	struct heard h = {.len = 0};

	for (;;) {
		enum frame_end end = f->look(h.bytes, h.len, number, &h.look);
		enum outcome o = OUTCOME_OK;

		if (end == FRAME_MORE)
			o = read_more(f, w, x, &h);
		else if (end == FRAME_WRONG)
			o = exchange_fail(x, OUTCOME_GARBLED, h.look.reason);
		else if (take_frame(f, w, x, &h, end))
			return OUTCOME_OK;
		if (o != OUTCOME_OK) {
			note_rest(w, x, &h);
			return o;
		}
	}
}

/* Unless it is under way. */
static enum outcome send_ahead(
	const struct framing *f, struct wire *w, struct exchange *x, const struct request *q, uint16_t *last)
{
	struct exchange sent = {.request = q};
	enum outcome o;

	if (ahead_find(x->ahead, q))
		return OUTCOME_OK;
	o = ask(f, w, &sent, ++*last);
	x->reason = sent.reason;
	if (o == OUTCOME_OK)
		ahead_add(x->ahead, q, *last, sent.sent_us);
	return o;
}

/* Its request, with those that come next; then its reply, if it is not there already. */
static enum outcome exchange_ahead(const struct framing *f, struct wire *w, struct exchange *x, uint16_t *last)
{
	struct ahead *a = x->ahead;
	enum outcome o = send_ahead(f, w, x, x->request, last);
	struct ahead_sent *s;

	for (size_t i = 0; o == OUTCOME_OK && i < a->next_count && a->count < a->limit; i++)
		o = send_ahead(f, w, x, &a->next[i], last);
	a->next_count = 0;
	if (o != OUTCOME_OK)
		return o;
	s = ahead_find(a, x->request);
	x->behind = s->behind || s->len > 0;
	x->sent_us = s->sent_us > a->heard_us ? s->sent_us : a->heard_us;
	x->first_us = s->first_us;
	x->done_us = s->done_us;
	wire_hurry(w);
	if (s->len == 0)
		o = hear(f, w, x, s->number);
	else if (!exchange_answered(x, s->frame, s->len))
		o = exchange_fail(x, OUTCOME_GARBLED, "frame");
	if (o == OUTCOME_OK && x->behind)
		a->trouble = 0;
	a->heard_us = w->last_byte_us;
	ahead_drop(a, ahead_find(a, x->request));
	return o;
}

enum outcome frame_exchange(const struct framing *f, struct wire *w, struct exchange *x, uint16_t *last)
{
	int quiet;
	enum outcome o;

	if (x->ahead)
		return exchange_ahead(f, w, x, last);
	quiet = wire_quiet(w);
	if (quiet != 0)
		return exchange_waited(x, quiet, true);
	o = ask(f, w, x, ++*last);
	if (o != OUTCOME_OK)
		return o;
	if (f->bus && x->request->unit == 0) {
		wire_rest(w, BROADCAST_PAUSE_US);
		return OUTCOME_OK;
	}
	return hear(f, w, x, *last);
}
