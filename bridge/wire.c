/* SPDX-License-Identifier: MIT */
/* A word is its kind in one byte and then its fields, big endian, as its row in `layouts` names them:
 *	a b  the numbers, 8 bytes	i j  id, id2, 4 bytes	c  code, 1 byte
 *	t    text, length in 2 bytes	p    properties and	x  payload, length in 4 bytes
 *	n    the counts, 8 bytes each */
#include "bridge/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const char *const layouts[WIRE_KINDS] = {
	[WIRE_START] = "abt",
	[WIRE_NEWS] = "a",
	[WIRE_TAKEN] = "ic",
	[WIRE_STOP] = "",
	[WIRE_PING] = "i",
	[WIRE_CONFIG] = "t",
	[WIRE_READY] = "",
	[WIRE_ACK] = "a",
	[WIRE_STATE] = "ct",
	[WIRE_QUARANTINE] = "act",
	[WIRE_INBOUND] = "abicjtpx",
	[WIRE_PONG] = "i",
	[WIRE_COUNTS] = "n",
	[WIRE_ASK] = "abi",
};

enum { COUNTS = sizeof(struct bridge_counts) / sizeof(uint64_t) };

struct pen {
	uint8_t *at, *end;
	bool full;
};

static void put(struct pen *p, const void *bytes, size_t len)
{
	if (p->full || (size_t)(p->end - p->at) < len) {
		p->full = true;
		return;
	}
	if (len > 0)
		memcpy(p->at, bytes, len);
	p->at += len;
}

static void put_number(struct pen *p, uint64_t v, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(v >> 8 * (width - 1 - i));
	put(p, bytes, width);
}

static void put_span(struct pen *p, struct span s, size_t width)
{
	if (width == 2 && s.len > UINT16_MAX)
		p->full = true;
	put_number(p, s.len, width);
	put(p, s.at, s.len);
}

static void put_field(struct pen *p, char field, const struct wire_word *w)
{
	switch (field) {
	case 'a': put_number(p, w->a, 8); break;
	case 'b': put_number(p, w->b, 8); break;
	case 'i': put_number(p, w->id, 4); break;
	case 'j': put_number(p, w->id2, 4); break;
	case 'c': put_number(p, w->code, 1); break;
	case 't': put_span(p, w->text, 2); break;
	case 'p': put_span(p, w->props, 4); break;
	case 'x': put_span(p, w->payload, 4); break;
	case 'n':
		for (size_t i = 0; i < COUNTS; i++)
			put_number(p, ((const uint64_t *)&w->counts)[i], 8);
		break;
	}
}

size_t wire_encode(const struct wire_word *w, uint8_t *out, size_t cap)
{
	struct pen p = {out, out + cap, false};

	put_number(&p, w->kind, 1);
	for (const char *field = layouts[w->kind]; *field; field++)
		put_field(&p, *field, w);
	return p.full ? 0 : (size_t)(p.at - out);
}

static uint64_t get_u64(struct cursor *c)
{
	uint64_t high = cursor_u32(c);

	return high << 32 | cursor_u32(c);
}

static void get_field(struct cursor *c, char field, struct wire_word *w)
{
	switch (field) {
	case 'a': w->a = get_u64(c); break;
	case 'b': w->b = get_u64(c); break;
	case 'i': w->id = cursor_u32(c); break;
	case 'j': w->id2 = cursor_u32(c); break;
	case 'c': w->code = cursor_u8(c); break;
	case 't': w->text = cursor_span16(c); break;
	case 'p': w->props = cursor_span(c, cursor_u32(c)); break;
	case 'x': w->payload = cursor_span(c, cursor_u32(c)); break;
	case 'n':
		for (size_t i = 0; i < COUNTS; i++)
			((uint64_t *)&w->counts)[i] = get_u64(c);
		break;
	}
}

int wire_decode(struct wire_word *out, const void *bytes, size_t len)
{
	struct cursor c = cursor_on(bytes, len);
	uint8_t kind = cursor_u8(&c);

	*out = (struct wire_word){.kind = (enum wire_kind)kind};
	if (!cursor_ok(&c) || kind >= WIRE_KINDS || !layouts[kind])
		return WIRE_BAD;
	for (const char *field = layouts[kind]; *field; field++)
		get_field(&c, *field, out);
	return cursor_done(&c) ? 0 : WIRE_BAD;
}

int wire_send(struct wire *w, const struct wire_word *word)
{
	size_t len = wire_encode(word, w->buf, sizeof(w->buf));

	if (len == 0)
		return -EMSGSIZE;
	for (;;) {
		if (send(w->fd, w->buf, len, MSG_NOSIGNAL) == (ssize_t)len)
			return 0;
		if (errno == EAGAIN)
			return WIRE_FULL;
		if (errno == EPIPE || errno == ECONNRESET)
			return WIRE_ENDED;
		if (errno != EINTR)
			return -errno;
	}
}

int wire_receive(struct wire *w, struct wire_word *word)
{
	ssize_t n;

	do
		n = recv(w->fd, w->buf, sizeof(w->buf), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return WIRE_EMPTY;
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return WIRE_ENDED;
	if (n < 0)
		return -errno;
	return wire_decode(word, w->buf, (size_t)n) == 0 ? 0 : -EPROTO;
}
