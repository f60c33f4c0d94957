/* SPDX-License-Identifier: MIT */
#include "tests/sim/tcp.h"

#include "tests/sim/rtu.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAME_MAX = 7 + PDU_MAX, PENDING_MAX = 32 };

/* A reply that is held back for the turnaround or a fault. */
struct held {
	struct pace_timer timer;
	struct tcp_conn *conn;
	struct held *next;
	bool close_after;
	size_t len;
	uint8_t bytes[FRAME_MAX + 40];
};

struct tcp_conn {
	struct tcp *device;
	struct pace_watch watch;
	struct tcp_conn *next;
	struct held *held;
	size_t held_count, in_len;
	uint8_t in[2 * FRAME_MAX];
};

/* --- connections --------------------------------------------------------------------------------------------- */

static void conn_close(struct tcp_conn *c)
{
	struct tcp_conn **at = &c->device->conns;
	int fd = c->watch.fd;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	while (c->held) {
		struct held *h = c->held;

		c->held = h->next;
		pace_disarm(c->device->pace, &h->timer);
		free(h);
	}
	pace_unwatch(c->device->pace, &c->watch);
	close(fd);
	c->device->stats.closed++;
	free(c);
}

/* A device that cannot get rid of its reply within the socket's buffer drops the connection. */
static bool conn_send(struct tcp_conn *c, const struct held *h)
{
	bool sent = send(c->watch.fd, h->bytes, h->len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)h->len;

	c->device->stats.replies += sent;
	if (sent && !h->close_after)
		return true;
	conn_close(c);
	return false;
}

static void held_due(struct pace_timer *t)
{
	struct held *h = (struct held *)((char *)t - offsetof(struct held, timer)), **at = &h->conn->held;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	h->conn->held_count--;
	conn_send(h->conn, h);
	free(h);
}

/* false: the connection is gone. */
static bool reply_after(struct tcp_conn *c, const struct held *reply, int64_t delay_us)
{
	struct held *h;

	if (delay_us == 0)
		return conn_send(c, reply);
	h = c->held_count < PENDING_MAX ? malloc(sizeof(*h)) : NULL;
	if (!h) {
		c->device->stats.lost++;
		return true;
	}
	*h = *reply;
	h->conn = c;
	h->timer = (struct pace_timer){.run = held_due};
	h->next = c->held;
	c->held = h;
	c->held_count++;
	pace_arm(c->device->pace, &h->timer, pace_now_us() + delay_us);
	return true;
}

/* --- frames -------------------------------------------------------------------------------------------------- */

/* Room for `header` bytes is left before the pdu by the caller. */
static void frame_mbap(struct held *h, const uint8_t head[4], uint8_t unit, size_t pdu_len, bool wrong_id)
{
	uint8_t *b = h->bytes + h->len;

	b[0] = head[0];
	b[1] = wrong_id ? (uint8_t)(head[1] + 1) : head[1];
	b[2] = b[3] = 0;
	b[4] = (uint8_t)((pdu_len + 1) >> 8);
	b[5] = (uint8_t)(pdu_len + 1);
	b[6] = unit;
	h->len += 7 + pdu_len;
}

static void frame_rtu(struct held *h, uint8_t unit, size_t pdu_len, bool bad_crc)
{
	uint8_t *b = h->bytes + h->len;
	uint16_t crc;

	b[0] = unit;
	crc = rtu_crc(b, pdu_len + 1);
	if (bad_crc)
		crc ^= 0x0100;
	b[pdu_len + 1] = (uint8_t)crc;
	b[pdu_len + 2] = (uint8_t)(crc >> 8);
	h->len += pdu_len + 3;
}

static bool answer(struct tcp_conn *c, struct slave *s, const uint8_t *frame, const uint8_t *pdu, size_t len)
{
	struct tcp *d = c->device;
	struct fault f = slave_struck(s);
	struct held h = {0};
	size_t reply_len;
	uint8_t *reply, unit = f.kind == FAULT_WRONG_ID ? (uint8_t)(s->unit + 1) : s->unit;

	if (f.kind == FAULT_DEAD)
		return true;
	for (int64_t i = 0; f.kind == FAULT_NOISE && i < f.arg && i < 32; i++)
		h.bytes[h.len++] = 0xa5;
	reply = h.bytes + h.len + (d->opts.rtu ? 1 : 7);
	if (f.kind == FAULT_EXCEPTION)
		reply_len = slave_exception(s, pdu[0], (uint8_t)f.arg, reply);
	else
		reply_len = slave_answer(s, pdu, len, reply, pace_now_us());
	if (f.kind == FAULT_SHORT && reply_len > 4) {
		reply[1] = (uint8_t)(reply[1] - 2);
		reply_len -= 2;
	}
	if (f.kind == FAULT_WRONG_FC)
		reply[0] ^= 0x07;
	if (d->opts.rtu)
		frame_rtu(&h, unit, reply_len, f.kind == FAULT_BAD_CRC);
	else
		frame_mbap(&h, frame, unit, reply_len, f.kind == FAULT_BAD_CRC);
	if (f.kind == FAULT_TRUNCATED) {
		h.len -= (size_t)f.arg < h.len ? (size_t)f.arg : h.len - 1;
		h.close_after = true;
	}
	s->stats.replies++;
	return reply_after(c, &h, d->opts.turnaround_us + (f.kind == FAULT_LATE ? f.arg * 1000 : 0));
}

/* The length of the frame at the start of the buffer; 0: not all here; below 0: no frame. */
static ssize_t frame_len(const struct tcp_conn *c)
{
	const uint8_t *b = c->in;
	size_t len;

	if (c->device->opts.rtu) {
		if (c->in_len < 8)
			return 0;
		len = b[1] == 15 || b[1] == 16 ? 9U + b[6] : b[1] == 22 ? 10 : b[1] == 43 ? 7 : 8;
		if (b[1] == 23)
			len = c->in_len > 10 ? 13U + b[10] : SIZE_MAX;
	} else {
		if (c->in_len < 7)
			return 0;
		len = 6U + ((size_t)b[4] << 8 | b[5]);
		if (b[2] || b[3] || len < 8 || len > FRAME_MAX)
			return -EPROTO;
	}
	return c->in_len < len ? 0 : (ssize_t)len;
}

static bool frame_in(struct tcp_conn *c, size_t len)
{
	bool rtu = c->device->opts.rtu;
	const uint8_t *frame = c->in;
	struct slave *s = slave_find(c->device->slaves, rtu ? frame[0] : frame[6]);

	c->device->stats.requests++;
	if (rtu && rtu_crc(frame, len) != 0) {
		c->device->stats.bad_frames++;
		return true;
	}
	if (!s)
		return true;
	return rtu ? answer(c, s, frame, frame + 1, len - 3) : answer(c, s, frame, frame + 7, len - 7);
}

static void conn_ready(struct pace_watch *w, uint32_t events)
{
	struct tcp_conn *c = (struct tcp_conn *)((char *)w - offsetof(struct tcp_conn, watch));
	ssize_t n = recv(w->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT), len;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	c->in_len += (size_t)n;
	while ((len = frame_len(c)) > 0) {
		if (!frame_in(c, (size_t)len))
			return;
		c->in_len -= (size_t)len;
		memmove(c->in, c->in + len, c->in_len);
	}
	if (len < 0 || c->in_len == sizeof(c->in)) {
		c->device->stats.bad_frames++;
		conn_close(c);
	}
}

static void accept_one(struct pace_watch *w, uint32_t events)
{
	struct tcp *d = (struct tcp *)((char *)w - offsetof(struct tcp, listener));
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), one = 1;
	struct tcp_conn *c = fd >= 0 ? calloc(1, sizeof(*c)) : NULL;

	(void)events;
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!c || (c->watch.run = conn_ready, pace_watch(d->pace, &c->watch, fd, EPOLLIN) < 0)) {
		free(c);
		close(fd);
		return;
	}
	c->device = d;
	c->next = d->conns;
	d->conns = c;
	d->stats.accepted++;
}

/* --- the device ---------------------------------------------------------------------------------------------- */

int tcp_back(struct tcp *d)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(d->opts.port)};
	socklen_t len = sizeof(at);
	int fd, one = 1, r = 0;

	if (d->listener.fd >= 0)
		return 0;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 16) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		r = -errno;
	if (r == 0)
		r = pace_watch(d->pace, &d->listener, fd, EPOLLIN);
	if (r < 0) {
		close(fd);
		return r;
	}
	d->opts.port = ntohs(at.sin_port);
	return 0;
}

void tcp_vanish(struct tcp *d)
{
	int fd = d->listener.fd;

	while (d->conns)
		conn_close(d->conns);
	if (fd < 0)
		return;
	pace_unwatch(d->pace, &d->listener);
	close(fd);
}

int tcp_new(struct tcp **out, struct pace *pace, const struct tcp_opts *opts)
{
	struct tcp *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->pace = pace;
	d->opts = *opts;
	d->listener = (struct pace_watch){.fd = -1, .run = accept_one};
	r = tcp_back(d);
	if (r < 0) {
		tcp_free(d);
		return r;
	}
	*out = d;
	return 0;
}

void tcp_free(struct tcp *d)
{
	if (!d)
		return;
	tcp_vanish(d);
	slave_free(d->slaves);
	free(d);
}

void tcp_print(const struct tcp *d, FILE *to, const char *name)
{
	const struct tcp_stats *s = &d->stats;

	fprintf(to, "tcp=%s port=%u requests=%ju replies=%ju accepted=%ju closed=%ju bad_frames=%ju lost=%ju\n", name,
		d->opts.port, s->requests, s->replies, s->accepted, s->closed, s->bad_frames, s->lost);
}
