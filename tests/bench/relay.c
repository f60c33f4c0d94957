/* SPDX-License-Identifier: MIT */
/* The physical limit: answers the MQTT hand-shake, cuts the stream into packets and forwards them with the same kind
 * of sockets as a broker, and does none of a broker's work. The wiring is read off the generator's topics, b/NNNN: a
 * subscriber of b/NNNN gets what is published there, a subscriber of b/+ gets everything. Acknowledgements are answered
 * and not remembered.
 *
 *   relay PORT
 */
#include "tests/bench/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TOPICS = 10000, TOPIC_LEN = 6 };

struct peer {
	struct conn conn; /* first */
	uint16_t next_id;
	bool dirty;
	struct peer *next_dirty;
};

struct list {
	struct peer **at;
	size_t len, cap;
};

static struct list by_topic[TOPICS], everything;
static struct peer *dirty;

static void list_add(struct list *l, struct peer *p)
{
	if (l->len == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4;
		l->at = realloc(l->at, l->cap * sizeof(struct peer *));
		if (!l->at)
			die("no memory");
	}
	l->at[l->len++] = p;
}

static void list_remove(struct list *l, const struct peer *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->len; i++)
		if (l->at[i] != p)
			l->at[kept++] = l->at[i];
	l->len = kept;
}

static void put(struct peer *p, const void *bytes, size_t len)
{
	conn_put(&p->conn, bytes, len);
	if (p->dirty)
		return;
	p->dirty = true;
	p->next_dirty = dirty;
	dirty = p;
}

static unsigned topic_number(const uint8_t *topic)
{
	unsigned n = 0;

	for (int i = 2; i < TOPIC_LEN; i++)
		n = n * 10 + (unsigned)(topic[i] - '0') % 10;
	return n;
}

static void forward(struct peer *to, const uint8_t *p, size_t header, size_t len)
{
	put(to, p, len);
	if (p[0] & 6) { /* a packet id of this hop */
		uint8_t *id = to->conn.out + to->conn.out_len - len + header + 2 + TOPIC_LEN;

		to->next_id = (uint16_t)(to->next_id == 65535 ? 1 : to->next_id + 1);
		id[0] = (uint8_t)(to->next_id >> 8);
		id[1] = (uint8_t)to->next_id;
	}
}

static void publish(struct peer *from, const uint8_t *p, size_t header, size_t len)
{
	const struct list *l = &by_topic[topic_number(p + header + 2)];

	if (p[0] & 6) {
		const uint8_t *id = p + header + 2 + TOPIC_LEN;
		uint8_t a[4] = {(p[0] & 6) == 2 ? 0x40 : 0x50, 2, id[0], id[1]};

		put(from, a, sizeof(a));
	}
	for (size_t i = 0; i < l->len; i++)
		forward(l->at[i], p, header, len);
	for (size_t i = 0; i < everything.len; i++)
		forward(everything.at[i], p, header, len);
}

static void packet(struct conn *c, const uint8_t *p, size_t header, size_t len)
{
	static const uint8_t connack[] = {0x20, 2, 0, 0}, pingresp[] = {0xd0, 0};
	struct peer *peer = (struct peer *)(void *)c;
	uint8_t a[5] = {0, 2, p[2], p[3], 0};

	switch (p[0] >> 4) {
	case 1: put(peer, connack, sizeof(connack)); break;
	case 3: publish(peer, p, header, len); break;
	case 5:
		a[0] = 0x62;
		put(peer, a, 4);
		break;
	case 6:
		a[0] = 0x70;
		put(peer, a, 4);
		break;
	case 8:
		list_add(p[header + 6] == '+' ? &everything : &by_topic[topic_number(p + header + 4)], peer);
		a[0] = 0x90;
		a[1] = 3;
		put(peer, a, 5);
		break;
	case 12: put(peer, pingresp, sizeof(pingresp)); break;
	default: break;
	}
}

static void drop(struct peer *p)
{
	for (size_t i = 0; i < TOPICS; i++)
		if (by_topic[i].len > 0)
			list_remove(&by_topic[i], p);
	list_remove(&everything, p);
	for (struct peer **at = &dirty; *at; at = &(*at)->next_dirty)
		if (*at == p) {
			*at = p->next_dirty;
			break;
		}
	conn_close(&p->conn);
	free(p);
}

static void closed(struct conn *c)
{
	drop((struct peer *)(void *)c);
}

static void accept_all(struct net *net, int listener)
{
	for (;;) {
		struct epoll_event ev = {.events = EPOLLIN};
		int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct peer *p;

		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		p = calloc(1, sizeof(*p));
		if (!p)
			die("no memory");
		p->conn = (struct conn){.fd = fd, .packet = packet, .closed = closed, .net = net};
		ev.data.ptr = &p->conn;
		if (epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
			die("epoll_ctl: %s", strerror(errno));
	}
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4096) < 0)
		die("listen on %u: %s", port, strerror(errno));
	return fd;
}

int main(int argc, char **argv)
{
	struct conn listener = {0};
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &listener};
	struct rlimit files;
	struct net net;

	if (argc != 2)
		die("usage: relay PORT");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	net_init(&net, 0);
	listener.fd = listen_on((uint16_t)atoi(argv[1]));
	listener.net = &net;
	net.listener = &listener;
	net.accept = accept_all;
	if (epoll_ctl(net.epoll_fd, EPOLL_CTL_ADD, listener.fd, &ev) < 0)
		die("epoll_ctl: %s", strerror(errno));
	for (;;) {
		net_wait(&net, -1);
		while (dirty) {
			struct peer *p = dirty;

			dirty = p->next_dirty;
			p->dirty = false;
			conn_flush(&p->conn);
		}
	}
}
