/* SPDX-License-Identifier: MIT */
#include "tests/bench/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RX_SIZE = 4 * 1024 * 1024, BATCH = 512, PATIENCE_MS = 20000 };

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("brokerload: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void net_init(struct net *n, uint16_t port)
{
	*n = (struct net){.port = port};
	n->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	n->rx = malloc(RX_SIZE);
	if (n->epoll_fd < 0 || !n->rx)
		die("no epoll or no memory");
}

static void watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (epoll_ctl(c->net->epoll_fd, op, c->fd, &ev) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

/* Source addresses vary, so that the ports of one do not run out. */
static void bind_source(int fd, uint32_t id, const char *from)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + id / 20000)};
	int one = 1;

	if (from && inet_pton(AF_INET, from, &a.sin_addr) != 1)
		die("%s is no address", from);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("bind: %s", strerror(errno));
}

void conn_open(struct net *n, struct conn *c, uint32_t id, conn_packet_fn *packet)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(n->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;

	*c = (struct conn){.net = n, .packet = packet, .id = id, .v5 = n->v5, .ws = n->ws};
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	if (id >= 20000 || n->from)
		bind_source(c->fd, id, n->from);
	if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("connect: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (c->ws && !frames_open(c->fd))
		die("connection %u: no WebSocket", id);
	watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

void conn_close(struct conn *c)
{
	close(c->fd);
	free(c->out);
	free(c->left);
	*c = (struct conn){.fd = -1};
}

/* --- output --------------------------------------------------------------------------------------------------- */

static void make_room(struct conn *c, size_t len)
{
	if (c->out_at > 0 && c->out_at == c->out_len)
		c->out_at = c->out_len = 0;
	if (c->out_cap - c->out_len < len) {
		size_t cap = c->out_cap ? c->out_cap : 4096;

		while (cap - c->out_len < len)
			cap *= 2;
		c->out = realloc(c->out, cap);
		if (!c->out)
			die("no memory");
		c->out_cap = cap;
	}
}

/* Over WebSocket each piece is a frame. */
uint8_t *conn_room(struct conn *c, size_t len)
{
	make_room(c, len + (c->ws ? FRAMES_HEAD : 0));
	if (c->ws)
		c->out_len += frames_head(c->out + c->out_len, len);
	return c->out + c->out_len;
}

void conn_put(struct conn *c, const void *bytes, size_t len)
{
	memcpy(conn_room(c, len), bytes, len);
	conn_wrote(c, len);
}

void conn_flush(struct conn *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && c->closed)
			c->out_at = c->out_len; /* the next read reports it */
		else if (n < 0 && errno != EAGAIN)
			die("connection %u: %s", c->id, strerror(errno));
		if (n < 0)
			break;
		c->out_at += (size_t)n;
	}
	if (c->wants_out != (c->out_at < c->out_len)) {
		c->wants_out = !c->wants_out;
		watch(c, EPOLL_CTL_MOD, EPOLLIN | (c->wants_out ? EPOLLOUT : 0));
	}
}

/* --- input ---------------------------------------------------------------------------------------------------- */

/* Bytes of the packet at p, and of its header; 0: not whole yet. */
static size_t whole(const uint8_t *p, size_t len, size_t *header)
{
	size_t body = 0;

	for (size_t i = 1; i < 5 && i < len; i++) {
		body |= (size_t)(p[i] & 0x7f) << 7 * (i - 1);
		if (p[i] & 0x80)
			continue;
		*header = i + 1;
		return len - (i + 1) >= body ? i + 1 + body : 0;
	}
	return 0;
}

static void keep(struct conn *c, const uint8_t *p, size_t len)
{
	if (len > c->left_cap) {
		free(c->left);
		c->left_cap = len < 256 ? 256 : len;
		c->left = malloc(c->left_cap);
		if (!c->left)
			die("no memory");
	}
	if (len > 0)
		memcpy(c->left, p, len);
	c->left_len = len;
}

/* false: it is closed, and the connection may be gone. */
static bool read_once(struct conn *c)
{
	uint8_t *rx = c->net->rx;
	size_t had = c->left_len, at = 0, len, header, n;
	ssize_t got;

	if (had > 0)
		memcpy(rx, c->left, had);
	got = recv(c->fd, rx + had, RX_SIZE - had, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got <= 0 && c->closed) {
		c->closed(c);
		return false;
	}
	if (got <= 0)
		die("connection %u: %s", c->id, got == 0 ? "closed by the broker" : strerror(errno));
	len = had + (c->ws ? frames_strip(&c->frames, rx + had, (size_t)got) : (size_t)got);
	while (at < len && (n = whole(rx + at, len - at, &header)) > 0) {
		c->packet(c, rx + at, header, n);
		at += n;
	}
	if (len - at == RX_SIZE)
		die("connection %u: a packet larger than the buffer", c->id);
	keep(c, rx + at, len - at);
	return true;
}

void net_wait(struct net *n, int64_t max_wait_ns)
{
	struct timespec t = {max_wait_ns / 1000000000, max_wait_ns % 1000000000};
	struct epoll_event ev[BATCH];
	int count = epoll_pwait2(n->epoll_fd, ev, BATCH, max_wait_ns < 0 ? NULL : &t, NULL);

	for (int i = 0; i < count; i++) {
		struct conn *c = ev[i].data.ptr;

		if (c == n->listener) {
			n->accept(n, c->fd);
			continue;
		}
		if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !read_once(c))
			continue;
		if (conn_unsent(c) > 0 && (!c->closed || ev[i].events & EPOLLOUT))
			conn_flush(c); /* a connection with closed() is flushed by its owner, once per turn */
	}
}

/* --- what happens before the measuring ------------------------------------------------------------------------ */

uint8_t conn_await(struct conn *c)
{
	uint8_t p[256];
	size_t len = 0, header;

	if (c->ws && recv(c->fd, p, 2, MSG_WAITALL) != 2) /* the head of the frame that it comes in */
		die("connection %u: closed by the broker", c->id);
	for (;;) {
		struct pollfd fd = {.fd = c->fd, .events = POLLIN};
		ssize_t n;

		if (poll(&fd, 1, PATIENCE_MS) != 1)
			die("connection %u: no answer", c->id);
		n = recv(c->fd, p + len, len < 2 ? 2 - len : (size_t)p[1] + 2 - len, 0);
		if (n <= 0)
			die("connection %u: closed by the broker", c->id);
		len += (size_t)n;
		if (whole(p, len, &header) == len && len >= 2)
			return p[0];
		if (len >= 2 && p[1] > 100)
			die("connection %u: unexpected packet %02x", c->id, p[0]);
	}
}

void conn_hello(struct conn *c, const char *client_id, bool clean)
{
	static const uint8_t kept[6] = {5, 0x11, 0xff, 0xff, 0xff, 0xff}; /* the session, for ever */
	uint8_t p[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', c->v5 ? 5 : 4, clean ? 2 : 0, 0, 0};
	size_t len = strlen(client_id), props = c->v5 ? clean ? 1 : sizeof(kept) : 0, at = 12 + props;

	if (props > 1)
		memcpy(p + 12, kept, props);
	p[1] = (uint8_t)(at + len);
	p[at + 1] = (uint8_t)len;
	memcpy(p + at + 2, client_id, len);
	conn_put(c, p, at + 2 + len);
	conn_flush(c);
	if (conn_await(c) != 0x20)
		die("connection %u: no CONNACK", c->id);
}

void conn_subscribe(struct conn *c, const char *filter, uint8_t qos)
{
	uint8_t p[128] = {0x82, 0, 0, 1};
	size_t len = strlen(filter), at = c->v5 ? 5 : 4;

	p[1] = (uint8_t)(at + 1 + len);
	p[at + 1] = (uint8_t)len;
	memcpy(p + at + 2, filter, len);
	p[at + 2 + len] = qos;
	conn_put(c, p, at + 3 + len);
	conn_flush(c);
	if (conn_await(c) != 0x90)
		die("connection %u: no SUBACK", c->id);
}
