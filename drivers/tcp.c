/* SPDX-License-Identifier: MIT */
/* A TCP connection for a line: each address of the name is tried in turn within connect_timeout. */
#include "base/clock.h"
#include "drivers/port.h"
#include "drivers/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MODBUS_PORT = 502 };

static int await_connect(int fd, struct waiter *w, int64_t until_us)
{
	int r = w->wait(w, fd, POLLOUT, until_us);
	int error = 0;
	socklen_t len = sizeof(error);

	if (r <= 0)
		return r < 0 ? r : -ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}

/* A peer that vanished without a word is noticed by reply_timeout; keepalive frees the socket of an idle line. */
static int tune(int fd)
{
	int on = 1, idle_s = 30, between_s = 10, tries = 3;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof(between_s)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries)) < 0)
		return -errno;
	return 0;
}

/* The connection, or -errno. */
static int connect_one(const struct addrinfo *a, struct waiter *w, int64_t until_us)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	int r = fd < 0 ? -errno : tune(fd);

	if (r == 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		r = errno == EINPROGRESS ? await_connect(fd, w, until_us) : -errno;
	if (r == 0)
		return fd;
	if (fd >= 0) {
		w->leave(w, fd);
		close(fd);
	}
	return r;
}

int port_open_tcp(const struct line_opts *l, struct waiter *w)
{
	int64_t until_us = clock_mono_us(&clock_system) + 1000 * l->connect_timeout_ms;
	char host[256], service[8];
	uint16_t port = MODBUS_PORT;
	struct addrinfo *list;
	int r;

	if (!address_parse(l->address, host, sizeof(host), &port))
		return -EINVAL;
	snprintf(service, sizeof(service), "%u", port);
	r = resolve(w, host, service, &list);
	if (r < 0)
		return r;
	r = -EHOSTUNREACH;
	for (const struct addrinfo *a = list; a && r < 0 && r != -ECANCELED; a = a->ai_next)
		r = connect_one(a, w, until_us);
	freeaddrinfo(list);
	return r;
}
