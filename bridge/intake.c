/* SPDX-License-Identifier: MIT */
#include "bridge/intake.h"

#include <unistd.h>

static void answer(struct intake *in, int result)
{
	struct wire_word word = {.kind = WIRE_TAKEN, .id = in->id, .code = (uint8_t)result};

	in->token = 0;
	if (wire_send(&in->wire, &word) == WIRE_FULL)
		in->wedged(in->bridge, "does not read what it is told");
}

static uint32_t next_token(struct intake *in)
{
	if (++in->tokens == 0) /* which stands for none */
		in->tokens = 1;
	return in->tokens;
}

/* m is NULL for a question. */
static void offer(struct intake *in, const struct wire_word *word, struct msg *m)
{
	struct bridge_arrival a = {m, word->a, word->b, next_token(in)};
	int r = BRIDGE_NOT_NOW;

	in->token = a.token;
	in->asks = !m;
	if (in->events->inbound && !in->shut)
		r = in->events->inbound(in->events->ctx, in->bridge, &a);
	if (r != BRIDGE_TOLD_LATER)
		answer(in, r);
}

static void hear_message(struct intake *in, const struct wire_word *word)
{
	struct msg_spec spec = {
		.topic = word->text.at,
		.topic_len = (uint32_t)word->text.len,
		.props = word->props.at,
		.props_len = (uint32_t)word->props.len,
		.payload = word->payload.at,
		.payload_len = (uint32_t)word->payload.len,
		.qos = word->code & 3,
		.retain = word->code >> 2 & 1,
		.class = MSG_EVENT,
		.origin = MSG_FROM_BRIDGE,
		.expiry_s = word->id2,
		.taken_ms = loop_now_ms(in->loop),
		.wall_ms = clock_wall_ms(loop_clock(in->loop)),
	};
	struct msg *m = msg_new(&spec);

	if (m)
		offer(in, word, m);
	else
		answer(in, BRIDGE_NOT_NOW);
	msg_unref(m);
}

static void hear(struct intake *in, const struct wire_word *word)
{
	in->id = word->id;
	switch ((int)word->kind) {
	case WIRE_INBOUND: hear_message(in, word); break;
	case WIRE_ASK: offer(in, word, NULL); break;
	default: in->wedged(in->bridge, "speaks nonsense"); break;
	}
}

static void on_readable(struct loop_watch *w, uint32_t events)
{
	struct intake *in = (struct intake *)((char *)w - offsetof(struct intake, watch));
	struct wire_word word;
	int r = wire_receive(&in->wire, &word);

	(void)events;
	if (r == 0)
		hear(in, &word);
	else if (r == WIRE_ENDED)
		intake_close(in);
	else if (r != WIRE_EMPTY)
		in->wedged(in->bridge, "speaks nonsense");
}

void intake_init(struct intake *in, struct loop *loop, struct bridge *b, const struct bridge_events *events,
	intake_wedged *wedged)
{
	in->loop = loop;
	in->bridge = b;
	in->events = events;
	in->wedged = wedged;
	in->token = in->tokens = 0;
	in->shut = false;
	in->watch = (struct loop_watch){.fd = -1, .run = on_readable};
}

int intake_open(struct intake *in, int fd)
{
	int r = loop_watch(in->loop, &in->watch, fd, EPOLLIN);

	in->wire.fd = fd;
	if (r < 0)
		close(fd);
	return r;
}

void intake_close(struct intake *in)
{
	int fd = in->watch.fd;

	in->token = 0;
	loop_unwatch(in->loop, &in->watch);
	if (fd >= 0)
		close(fd);
}

void intake_taken(struct intake *in, uint32_t token, bool taken)
{
	if (token == in->token && token != 0)
		answer(in, taken ? 0 : in->asks ? BRIDGE_NEVER_HAD : BRIDGE_NOT_NOW);
}
