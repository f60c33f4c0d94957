/* SPDX-License-Identifier: MIT */
#include "tests/sim/rtu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint16_t rtu_crc(const uint8_t *bytes, size_t len)
{
	uint16_t crc = 0xffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	return crc;
}

static int64_t wire_us(const struct rtu *l, size_t bytes)
{
	return ((int64_t)bytes * l->char_ns + 500) / 1000;
}

/* --- out ----------------------------------------------------------------------------------------------------- */

static void send_later(struct rtu *l)
{
	struct reply *r = &l->out[0];
	size_t grain = (size_t)(l->opts.grain_us * 1000 / l->char_ns);
	size_t upto = r->sent + (grain ? grain : 1);

	pace_arm(l->pty.pace, &l->send, r->start_us + wire_us(l, upto < r->len ? upto : r->len));
}

static void send_due(struct pace_timer *t)
{
	struct rtu *l = (struct rtu *)((char *)t - offsetof(struct rtu, send));
	struct reply *r = &l->out[0];
	int64_t now_us = pace_now_us();
	size_t passed = (size_t)((now_us - r->start_us) * 1000 / l->char_ns);

	passed = passed < r->sent + 1 ? r->sent + 1 : passed;
	passed = passed < r->len ? passed : r->len;
	pty_write(&l->pty, r->bytes + r->sent, passed - r->sent);
	l->stats.bytes_out += passed - r->sent;
	r->sent = passed;
	l->wire_end_us = now_us;
	if (r->sent < r->len) {
		send_later(l);
		return;
	}
	l->stats.busy_us += wire_us(l, r->len);
	l->stats.late_us += now_us - r->start_us - wire_us(l, r->len);
	l->out_count--;
	memmove(&l->out[0], &l->out[1], l->out_count * sizeof(l->out[0]));
	if (l->out_count) {
		if (l->out[0].start_us < now_us)
			l->out[0].start_us = now_us;
		send_later(l);
	}
}

/* The one on the wire stays first; the others are in the order of their start. */
static struct reply *queue_reply(struct rtu *l, int64_t start_us)
{
	size_t at = l->out_count;

	if (l->out_count == RTU_PENDING) {
		l->stats.lost++;
		return NULL;
	}
	while (at > 0 && l->out[at - 1].start_us > start_us && l->out[at - 1].sent == 0)
		at--;
	memmove(&l->out[at + 1], &l->out[at], (l->out_count - at) * sizeof(l->out[0]));
	l->out_count++;
	l->out[at] = (struct reply){.start_us = start_us};
	return &l->out[at];
}

static void add_noise(struct reply *r, size_t count)
{
	for (size_t i = 0; i < count && r->len < sizeof(r->bytes); i++)
		r->bytes[r->len++] = (uint8_t)(0xa5 + 37 * i);
}

void rtu_noise(struct rtu *l, size_t count)
{
	struct reply *r = queue_reply(l, pace_now_us());

	if (!r)
		return;
	add_noise(r, count);
	send_later(l);
}

/* Frames the reply with what the fault does to it. */
static void reply_with(struct rtu *l, struct slave *s, const uint8_t *pdu, size_t len, struct fault f)
{
	int64_t start_us = l->wire_end_us + l->t35_us + l->opts.turnaround_us;
	struct reply *r;
	uint8_t *frame;
	uint16_t crc;

	if (f.kind == FAULT_LATE)
		start_us += f.arg * 1000;
	if (start_us < s->busy_until_us)
		start_us = s->busy_until_us;
	s->busy_until_us = start_us;
	r = queue_reply(l, start_us);
	if (!r)
		return;
	if (f.kind == FAULT_NOISE)
		add_noise(r, f.arg < 32 ? (size_t)f.arg : 32);
	frame = r->bytes + r->len;
	frame[0] = f.kind == FAULT_WRONG_ID ? (uint8_t)(s->unit % 247 + 1) : s->unit;
	memcpy(frame + 1, pdu, len);
	if (f.kind == FAULT_WRONG_FC)
		frame[1] ^= 0x07;
	crc = rtu_crc(frame, len + 1);
	if (f.kind == FAULT_BAD_CRC)
		crc ^= 0x0100;
	frame[len + 1] = (uint8_t)crc;
	frame[len + 2] = (uint8_t)(crc >> 8);
	r->len += len + 3;
	if (f.kind == FAULT_TRUNCATED)
		r->len -= (size_t)f.arg < r->len ? (size_t)f.arg : r->len - 1;
	l->stats.replies++;
	send_later(l);
}

/* --- in ------------------------------------------------------------------------------------------------------ */

static void answer(struct rtu *l, struct slave *s, const uint8_t *pdu, size_t len)
{
	struct fault f = slave_struck(s);
	uint8_t reply[PDU_MAX];
	size_t reply_len;

	if (f.kind == FAULT_DEAD)
		return;
	if (f.kind == FAULT_EXCEPTION)
		reply_len = slave_exception(s, pdu[0], (uint8_t)f.arg, reply);
	else
		reply_len = slave_answer(s, pdu, len, reply, pace_now_us());
	if (f.kind == FAULT_SHORT && reply_len > 4 && reply[1] > 2) {
		reply[1] = (uint8_t)(reply[1] - 2);
		reply_len -= 2;
	}
	s->stats.replies++;
	reply_with(l, s, reply, reply_len, f);
}

static void broadcast(struct rtu *l, const uint8_t *pdu, size_t len)
{
	uint8_t ignored[PDU_MAX];

	l->stats.broadcasts++;
	for (struct slave *s = l->slaves; s; s = s->next)
		slave_answer(s, pdu, len, ignored, pace_now_us());
}

static void frame_ended(struct pace_timer *t)
{
	struct rtu *l = (struct rtu *)((char *)t - offsetof(struct rtu, silence));
	size_t len = l->in_len;
	struct slave *s;

	l->in_len = 0;
	l->stats.busy_us += wire_us(l, len);
	if (l->in_broken)
		return;
	if (len < 4 || rtu_crc(l->in, len) != 0) {
		l->stats.crc_errors++;
		return;
	}
	l->stats.requests++;
	s = slave_find(l->slaves, l->in[0]);
	if (l->in[0] == 0)
		broadcast(l, l->in + 1, len - 3);
	else if (s)
		answer(l, s, l->in + 1, len - 3);
	else
		l->stats.foreign++;
}

static void begin_frame(struct rtu *l, int64_t now_us)
{
	int64_t silence_us = now_us - l->wire_end_us;
	bool replying = l->out_count > 0 && (l->out[0].sent > 0 || l->out[0].start_us < now_us);

	l->in_broken = false;
	if (replying)
		l->stats.collisions++;
	if (l->seen && silence_us < l->t35_us)
		l->stats.t35_violations++;
	if (l->seen && (l->stats.least_silence_us < 0 || silence_us < l->stats.least_silence_us))
		l->stats.least_silence_us = silence_us;
	if (l->seen)
		l->stats.waited_us += silence_us - l->t35_us;
	if (l->opts.strict && (replying || (l->seen && silence_us < l->t35_us)))
		l->in_broken = true;
	l->seen = true;
}

static void input(struct pty *p, const uint8_t *bytes, size_t len, int64_t now_us)
{
	struct rtu *l = (struct rtu *)((char *)p - offsetof(struct rtu, pty));

	l->stats.bytes_in += len;
	if (l->opts.echo)
		pty_write(p, bytes, len);
	/* On a busy machine these bytes can be seen before the timer that ends the frame before them. */
	if (l->in_len > 0 && now_us - l->wire_end_us >= l->t35_us) {
		pace_disarm(p->pace, &l->silence);
		frame_ended(&l->silence);
	}
	if (l->in_len == 0) {
		begin_frame(l, now_us);
	} else if (now_us - l->wire_end_us > l->t15_us) {
		l->stats.t15_violations++;
		l->in_broken = l->in_broken || l->opts.strict;
	}
	len = len < sizeof(l->in) - l->in_len ? len : sizeof(l->in) - l->in_len;
	memcpy(l->in + l->in_len, bytes, len);
	l->in_len += len;
	/* The pty brought them in an instant; on the wire they begin now, or behind what is still passing. */
	l->wire_end_us = (l->wire_end_us > now_us ? l->wire_end_us : now_us) + wire_us(l, len);
	pace_arm(p->pace, &l->silence, l->wire_end_us + l->t35_us);
}

/* --- the line ------------------------------------------------------------------------------------------------ */

int rtu_new(struct rtu **out, struct pace *pace, const struct rtu_opts *opts)
{
	struct rtu *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->opts = *opts;
	l->char_ns = opts->frame_bits * 1000000000 / opts->baud;
	/* Above 19200 baud the two are fixed. */
	l->t15_us = opts->baud > 19200 ? 750 : l->char_ns * 3 / 2 / 1000;
	l->t35_us = opts->baud > 19200 ? 1750 : l->char_ns * 7 / 2 / 1000;
	l->silence.run = frame_ended;
	l->send.run = send_due;
	l->pty.input = input;
	rtu_reset(l);
	r = pty_open(&l->pty, pace, opts->path);
	l->opts.path = NULL;
	if (r < 0) {
		rtu_free(l);
		return r;
	}
	*out = l;
	return 0;
}

void rtu_free(struct rtu *l)
{
	if (!l)
		return;
	pace_disarm(l->pty.pace, &l->silence);
	pace_disarm(l->pty.pace, &l->send);
	pty_close(&l->pty);
	slave_free(l->slaves);
	free(l);
}

void rtu_reset(struct rtu *l)
{
	l->stats = (struct rtu_stats){.since_us = pace_now_us(), .least_silence_us = -1};
	for (struct slave *s = l->slaves; s; s = s->next)
		s->stats = (struct slave_stats){0};
}

void rtu_print(const struct rtu *l, FILE *to, const char *name)
{
	const struct rtu_stats *s = &l->stats;
	int64_t elapsed_us = pace_now_us() - s->since_us;

	fprintf(to,
		"line=%s requests=%ju replies=%ju crc_errors=%ju foreign=%ju broadcasts=%ju lost=%ju "
		"t35_violations=%ju "
		"t15_violations=%ju collisions=%ju bytes_in=%ju bytes_out=%ju least_silence_us=%jd t35_us=%jd "
		"waited_us=%jd late_us=%jd utilisation=%.4f elapsed_us=%jd\n",
		name, s->requests, s->replies, s->crc_errors, s->foreign, s->broadcasts, s->lost, s->t35_violations,
		s->t15_violations, s->collisions, s->bytes_in, s->bytes_out, s->least_silence_us, l->t35_us,
		s->waited_us, s->late_us, (double)s->busy_us / (double)(elapsed_us > 0 ? elapsed_us : 1), elapsed_us);
}
