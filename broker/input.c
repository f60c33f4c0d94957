/* SPDX-License-Identifier: MIT */
#include "broker/input.h"

#include "base/log.h"
#include "broker/area.h"
#include "broker/core.h"
#include "broker/dispatch.h"
#include "broker/refusal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* --- bytes kept between reads ------------------------------------------------------------------------------- */

/* Packets that come in pieces may fill opts.input_memory; beyond it the connection goes whose piece is the largest for
 * the longest time: not one that comes now, and is larger than what many leave lying. What a held connection keeps is
 * not counted: it is complete, and waits for us. */
static void evict(struct broker *b)
{
	struct conn *most = pieces_heaviest(&b->pieces, (uint32_t)broker_now_ms(b));

	if (!most)
		return;
	b->stats.refused++;
	log_debug("broker: packets that came in part fill input_memory; one of %u bytes so far is given up",
		most->in->len);
	input_drop(most); /* at once, or the next piece would cost another one its place until this one is closed */
	conn_doom(most, RC_QUOTA);
}

/* Half a packet proves nothing, but a large one that goes on coming shows that the client is there, and over a slow link
 * it may take longer than the keep alive, with no way to send PINGREQ in its midst. input_sweep() bounds the time. */
static void note_life(struct conn *c, const struct chunk *in)
{
	enum { LARGE = 1024 };

	if (in->len >= LARGE)
		c->last_rx_ms = broker_now_ms(c->broker);
}

static void put(struct broker *b, struct chunk *in)
{
	stock_put(&b->stock, in);
	if (b->stock.spent)
		turn_again(b);
}

/* c->in changes only in keep() and take(), c->held never in between. What was just taken can be kept again; afterwards it
 * may be gone, and c doomed. */
static void keep(struct conn *c, struct chunk *in)
{
	struct broker *b = c->broker;

	c->in = in;
	if (!in || c->held)
		return;
	note_life(c, in);
	if (pieces_add(&b->pieces, c) < 0) {
		c->in = NULL;
		put(b, in);
		conn_doom(c, RC_UNSPECIFIED);
	} else if (b->pieces.bytes > (uint64_t)b->opts.input_memory) {
		evict(b);
	}
}

static struct chunk *take(struct conn *c)
{
	struct chunk *in = c->in;

	if (in && !c->held)
		pieces_drop(&c->broker->pieces, c);
	c->in = NULL;
	return in;
}

void input_drop(struct conn *c)
{
	put(c->broker, take(c));
}

/* --- packets ------------------------------------------------------------------------------------------------ */

/* What is wrong with the packet as far as its header tells: found out before anything is kept for it. */
static int check_header(const struct conn *c, const struct frame *f, int r)
{
	if (c->state == CONN_NEW && f->type != PKT_CONNECT)
		return RC_PROTOCOL;
	if (r == FRAME_BAD)
		return RC_MALFORMED;
	if (f->total > conn_max_packet(c))
		return RC_TOO_LARGE;
	return 0;
}

/* Parses and handles what is there; how many bytes are done with. */
static size_t consume(struct conn *c, uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at < len && !c->held && !c->doomed && c->out.bytes < CONN_FULL &&
		(c->state == CONN_NEW || c->state == CONN_LIVE)) {
		struct frame f;
		struct packet p;
		int r = decode_frame(bytes + at, len - at, c->version == MQTT_5, &f), fault = check_header(c, &f, r);

		if (fault == 0 && r == FRAME_SHORT)
			break;
		if (fault == 0) {
			p = (struct packet){
				f.type, f.flags, bytes + at, f.total, {bytes + at + f.head, f.total - f.head}};
			c->broker->stats.packets_in++;
			c->last_rx_ms = broker_now_ms(c->broker); /* whole packets: half of one proves nothing */
			fault = dispatch(c, &p);
		}
		if (fault == DISPATCH_HOLD)
			break;
		at += f.total;
		if (fault >= 0x80)
			conn_close_for(c, (uint8_t)fault, f.type, fault == RC_TOO_LARGE ? f.total : 0);
	}
	if (!c->held && c->out.bytes >= CONN_FULL)
		c->reading = false; /* conn.c goes on when it has drained */
	return at;
}

/* Room for the whole packet, where much of it is there: it would have to move. */
static size_t room_for(const struct conn *c, const uint8_t *bytes, size_t len)
{
	struct frame f = {0};

	if (len >= TURN_LARGE)
		decode_frame(bytes, len, c->version == MQTT_5, &f);
	return f.total > len && f.total <= AREA_MAPPED ? f.total : len;
}

/* since: when the first byte of it came, as the clock's low bits. An input chunk keeps that in `sent`. */
static void keep_rest(struct conn *c, const uint8_t *bytes, size_t len, uint32_t since)
{
	struct chunk *in;

	if (c->state != CONN_NEW && c->state != CONN_LIVE)
		return;
	if (len == 0)
		return;
	in = stock_get(&c->broker->stock, room_for(c, bytes, len));
	if (!in) {
		conn_doom(c, RC_UNSPECIFIED);
		return;
	}
	memcpy(in->bytes, bytes, len);
	in->len = (uint32_t)len;
	in->sent = since;
	keep(c, in);
}

static void consume_chunk(struct conn *c, struct chunk *in)
{
	size_t used = consume(c, in->bytes, in->len);

	if (used == 0 && (c->state == CONN_NEW || c->state == CONN_LIVE)) {
		keep(c, in);
		return;
	}
	if (used < in->len)
		keep_rest(c, in->bytes + used, in->len - used, (uint32_t)broker_now_ms(c->broker));
	put(c->broker, in);
}

static ssize_t receive(struct conn *c, void *to, size_t len)
{
	ssize_t n;

	if (c->transport)
		return c->transport->ops->read(c->transport, to, len);
	n = recv(c->fd, to, len, MSG_DONTWAIT);
	if (n < (ssize_t)len && !(n < 0 && errno == EINTR))
		loop_took(&c->watch, EPOLLIN);
	return n;
}

/* A large packet collects in a chunk of its own, which grows as the bytes come and not as the header promises: beyond
 * those of the stock it is mapped, and of what is mapped only what was read into is there. */
static ssize_t read_own(struct conn *c)
{
	enum { OWN_READ = 32 * 1024 }; /* into pages that the kernel may have to give first */
	struct chunk *in = c->in;
	size_t most = turn_bytes(c), end, room;
	struct frame f = {0};
	ssize_t n;

	decode_frame(in->bytes, in->len, c->version == MQTT_5, &f);
	end = f.total > in->len ? f.total : UINT32_MAX; /* nothing is read behind it that would have to move */
	if (in->len == in->cap) {
		size_t larger = in->cap < AREA_MAPPED / 2 ? AREA_MAPPED : (size_t)in->cap * 2;
		int r;

		in = take(c);
		r = stock_grow(&c->broker->stock, &in, end < larger ? end : larger);
		keep(c, in);
		if (r < 0 || !c->in) {
			errno = r < 0 ? ENOMEM : EAGAIN; /* what is doomed is closed by the turn */
			return -1;
		}
	}
	most = most < OWN_READ ? most : OWN_READ;
	room = (end < in->cap ? end : in->cap) - in->len;
	n = receive(c, in->bytes + in->len, room < most ? room : most);
	if (n > 0) {
		in->len += (uint32_t)n;
		consume_chunk(c, take(c));
	}
	return n;
}

static ssize_t read_shared(struct conn *c)
{
	struct broker *b = c->broker;
	size_t have = c->in ? c->in->len : 0, used;
	uint32_t now = (uint32_t)broker_now_ms(b), since = c->in ? c->in->sent : now;
	size_t most = turn_bytes(c), room = CONN_INPUT - have;
	ssize_t n = receive(c, b->input + have, most < room ? most : room);

	if (n <= 0)
		return n;
	if (c->in) {
		memcpy(b->input, c->in->bytes, have);
		stock_put(&b->stock, take(c));
	}
	have += (size_t)n;
	used = consume(c, b->input, have);
	if (used < have)
		keep_rest(c, b->input + used, have - used, used == 0 ? since : now);
	return n;
}

/* Input that the socket does not show any more is read in the next turn, so that nobody gets more than one read. */
static void read_on(struct conn *c)
{
	struct broker *b = c->broker;
	struct transport *t = c->transport;

	if (!t || t->pprev || !c->reading || !t->ops->pending(t))
		return;
	t->next = b->pending;
	t->pprev = &b->pending;
	if (t->next)
		t->next->pprev = &t->next;
	b->pending = t;
	loop_arm(b->loop, &b->pending_timer, broker_now_ms(b));
}

void input_forget(struct transport *t)
{
	if (!t || !t->pprev)
		return;
	*t->pprev = t->next;
	if (t->next)
		t->next->pprev = t->pprev;
	t->pprev = NULL;
}

size_t input_read(struct conn *c)
{
	ssize_t n;

	turn_serves(c->broker);
	n = c->in && c->in->len >= TURN_LARGE ? read_own(c) : read_shared(c);

	if (n > 0) {
		c->broker->stats.bytes_in += (uint64_t)n;
		turn_read(c, (size_t)n);
		read_on(c);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		refusal_tell_hand_shake(c);
		conn_close(c, RC_OK, true);
	} else if (transport_away(c->transport)) {
		shakes_wait(c);
	} else if (c->transport) { /* a hand-shake goes on: it may want to write */
		read_on(c);
		conn_want_events(c);
	}
	return n > 0 ? (size_t)n : 0;
}

void input_read_pending(struct loop_timer *t)
{
	struct broker *b = (struct broker *)((char *)t - offsetof(struct broker, pending_timer));
	struct transport *list = b->pending;

	b->pending = NULL; /* those that have more still wait for the next turn */
	if (list)
		list->pprev = &list;
	while (list) {
		struct conn *c = list->conn;

		input_forget(list);
		if (!c->reading || c->doomed || (c->state != CONN_NEW && c->state != CONN_LIVE))
			continue;
		if (!turn_waits(c))
			input_read(c);
	}
}

void input_sweep(struct broker *b)
{
	enum { BYTES_A_SECOND = 4096 };
	uint32_t now = (uint32_t)broker_now_ms(b);

	for (uint32_t i = b->pieces.count; i-- > 0;) {
		struct conn *c = b->pieces.all[i].conn;
		int64_t allowed_ms;

		if (!c->reading || c->doomed)
			continue;
		allowed_ms = b->opts.packet_timeout_ms + (int64_t)c->in->len * 1000 / BYTES_A_SECOND;
		if ((int64_t)(now - c->in->sent) <= allowed_ms)
			continue;
		b->stats.refused++;
		conn_doom(c, RC_SPECIFIC);
	}
}

bool input_was_all(const struct conn *c)
{
	struct frame f;
	uint8_t byte;

	return c->held && c->in && !c->transport &&
	       decode_frame(c->in->bytes, c->in->len, c->version == MQTT_5, &f) == 0 && f.total == c->in->len &&
	       recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void input_resume(struct conn *c)
{
	struct chunk *in = take(c);

	c->broker->turn.began = c->broker->turn.work;
	c->held = false;
	c->reading = true;
	if (in)
		consume_chunk(c, in);
	if (c->held || (c->state != CONN_NEW && c->state != CONN_LIVE))
		return;
	conn_watch(c);
	read_on(c);
	turn_dirty(c);
}

bool input_serve(struct conn *c, bool more)
{
	bool held = c->held;

	c->reading = true;
	if (held)
		input_resume(c);
	more = (held || input_read(c) >= TURN_SMALL) && more;
	if (c->state != CONN_NEW && c->state != CONN_LIVE)
		return false;
	if (more && c->greedy > 0 && c->reading && !c->held && !c->doomed)
		return true;
	conn_watch(c);
	turn_dirty(c); /* which sees to what it is watched for */
	return false;
}
