/* SPDX-License-Identifier: MIT */
#include "broker/listen.h"

#include "base/log.h"
#include "broker/core.h"
#include "broker/inherit.h"
#include "broker/rate.h"
#include "broker/unrest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, ACCEPTS_PER_TURN = 64, ACCEPT_PAUSE_MS = 200, RATE_PAUSE_MS = 20 };

struct listener {
	struct loop_watch watch;
	struct loop_timer pause;
	struct broker *broker;
	struct door *door; /* a reference */
	int fd, port;
};

static const char unix_prefix[] = "unix:", inherit_prefix[] = "systemd:";

int listen_port(const struct broker *b, size_t listener)
{
	return listener < b->listener_count && b->listeners[listener] ? b->listeners[listener]->port : -ENOENT;
}

/* --- accepting ---------------------------------------------------------------------------------------------- */

static void pause_over(struct loop_timer *t)
{
	struct listener *l = (struct listener *)((char *)t - offsetof(struct listener, pause));

	if (loop_rewatch(l->broker->loop, &l->watch, EPOLLIN) < 0)
		loop_arm(l->broker->loop, t, broker_now_ms(l->broker) + ACCEPT_PAUSE_MS);
}

static void rest(struct listener *l, int64_t ms)
{
	if (loop_rewatch(l->broker->loop, &l->watch, 0) == 0)
		loop_arm(l->broker->loop, &l->pause, broker_now_ms(l->broker) + ms);
}

static void out_of_descriptors(struct listener *l)
{
	log_warn("broker: cannot accept: %s; next try in %d ms (the limit on open files, LimitNOFILE=)",
		strerror(errno), ACCEPT_PAUSE_MS);
	rest(l, ACCEPT_PAUSE_MS);
}

/* The rates of all together: who comes too soon waits in the kernel's queue, in its turn. */
static bool too_fast(const struct listener *l)
{
	const struct broker *b = l->broker;
	int64_t now_us = broker_now_ms(b) * 1000;

	return (b->opts.connect_rate > 0 && b->connects_paid_us > now_us) ||
	       (b->opts.handshake_rate > 0 && l->door->tls && b->handshakes_paid_us > now_us);
}

static void pay(const struct listener *l)
{
	struct broker *b = l->broker;
	struct rate_terms connects = {.messages = b->opts.connect_rate},
			  handshakes = {.messages = b->opts.handshake_rate};

	rate_take(&b->connects_paid_us, &connects, 0, broker_now_ms(b));
	if (l->door->tls)
		rate_take(&b->handshakes_paid_us, &handshakes, 0, broker_now_ms(b));
}

static void turn_away(struct broker *b, int fd)
{
	b->stats.refused++;
	close(fd);
}

static void refuse_address(struct broker *b, int fd, const struct sockaddr_storage *from, enum unrest_kind why)
{
	char host[NI_MAXHOST] = "unknown";

	(void)getnameinfo((const struct sockaddr *)from, sizeof(*from), host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	unrest_saw(b, why, host, strlen(host));
	turn_away(b, fd);
}

/* At a unix socket the permissions of its file say who may. */
static bool is_stranger(const struct door *d, const struct sockaddr_storage *from)
{
	bool has_address = from->ss_family == AF_INET || from->ss_family == AF_INET6;

	return d->proxy_count > 0 && has_address && !nets_have(d->proxies, d->proxy_count, from);
}

/* Behind a proxy every connection has the proxy's address: connect.c counts by the one that its header names. */
static void take_in(struct listener *l, int fd, const struct sockaddr_storage *from)
{
	struct broker *b = l->broker;
	uint32_t address = l->door->proxy ? 0 : census_key(b->sessions.seed, from);

	b->stats.accepted++;
	pay(l);
	if (b->conn_count >= (uint64_t)b->opts.max_connections)
		turn_away(b, fd);
	else if (is_stranger(l->door, from))
		refuse_address(b, fd, from, UNREST_STRANGER);
	else if (!conn_may_come(b, address))
		refuse_address(b, fd, from, UNREST_CROWD);
	else if (conn_new(b, fd, l->door, address) != 0)
		b->stats.refused++;
}

static void acceptable(struct loop_watch *w, uint32_t events)
{
	struct listener *l = (struct listener *)((char *)w - offsetof(struct listener, watch));
	struct sockaddr_storage from;
	socklen_t len;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && turn_has_time(l->broker); i++) {
		int fd;

		if (too_fast(l)) {
			rest(l, RATE_PAUSE_MS);
			return;
		}
		len = sizeof(from);
		from.ss_family = AF_UNSPEC;
		fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
			out_of_descriptors(l);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return;
		if (fd >= 0)
			take_in(l, fd, &from);
	}
}

/* --- opening ------------------------------------------------------------------------------------------------ */

static int bound_port(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	if (a.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&a)->sin_port);
	return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port) : 0;
}

static int bind_to(const struct sockaddr *a, socklen_t len, bool both_families)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0, r = 0;

	if (fd < 0)
		return -errno;
	if (a->sa_family != AF_UNIX) {
		/* accepted sockets inherit TCP_NODELAY: no system call for each of them */
		if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
			r = -errno;
	}
	if (r == 0 && a->sa_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_families ? &off : &on, sizeof(on)) < 0)
		r = -errno;
	if (r == 0 && (bind(fd, a, len) < 0 || (a->sa_family != AF_UNIX && listen(fd, BACKLOG) < 0)))
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* A socket file that nobody listens on is left over from a crash. */
static void remove_stale(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED)
		unlink(a->sun_path);
	close(fd);
}

/* Its mode is set before anybody can connect: until listen() they are refused. */
static int open_unix(const char *path, unsigned mode)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	remove_stale(&a);
	fd = bind_to((struct sockaddr *)&a, sizeof(a), false);
	if (fd >= 0 && ((mode != 0 && chmod(path, mode) < 0) || listen(fd, BACKLOG) < 0)) {
		int r = -errno;

		close(fd);
		unlink(path);
		return r;
	}
	return fd;
}

/* "host:port", "[v6]:port", ":port"; without a host: both families, or IPv4 alone where there is no IPv6. */
static int open_tcp(const char *spec)
{
	char host[256] = "";
	const char *colon = strrchr(spec, ':'), *start = spec;
	size_t len = colon ? (size_t)(colon - spec) : 0;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
	int r;

	if (!colon || len >= sizeof(host))
		return -EINVAL;
	if (len >= 2 && spec[0] == '[' && spec[len - 1] == ']') {
		start++;
		len -= 2;
	}
	memcpy(host, start, len);
	if (len == 0) {
		struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(colon + 1))};
		struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = any6.sin6_port};

		r = bind_to((struct sockaddr *)&any6, sizeof(any6), true);
		return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL
			       ? bind_to((struct sockaddr *)&any4, sizeof(any4), false)
			       : r;
	}
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -EADDRNOTAVAIL;
	r = bind_to(found->ai_addr, found->ai_addrlen, false);
	freeaddrinfo(found);
	return r;
}

static bool is_unix(const char *bind)
{
	return strncmp(bind, unix_prefix, sizeof(unix_prefix) - 1) == 0;
}

static int open_socket(struct listener *l)
{
	const char *at = l->door->bind;
	int r;

	if (is_unix(at))
		r = open_unix(at + sizeof(unix_prefix) - 1, l->door->mode);
	else if (strncmp(at, inherit_prefix, sizeof(inherit_prefix) - 1) == 0)
		r = inherit_socket(at + sizeof(inherit_prefix) - 1);
	else
		r = open_tcp(at);
	if (r < 0) {
		log_error("broker: cannot listen on %s: %s", at, strerror(-r));
		return r;
	}
	l->fd = r;
	l->port = bound_port(l->fd);
	return loop_watch(l->broker->loop, &l->watch, l->fd, EPOLLIN);
}

static void close_one(struct listener *l)
{
	if (!l)
		return;
	loop_unwatch(l->broker->loop, &l->watch);
	loop_disarm(l->broker->loop, &l->pause);
	if (l->fd >= 0)
		close(l->fd);
	if (l->fd >= 0 && is_unix(l->door->bind))
		unlink(l->door->bind + sizeof(unix_prefix) - 1);
	door_unref(l->door);
	free(l);
}

static int open_one(struct listener **out, struct broker *b, struct door *door)
{
	struct listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	*l = (struct listener){
		.broker = b, .fd = -1, .watch = {.fd = -1, .run = acceptable}, .pause = {.run = pause_over}};
	l->door = door_ref(door);
	r = open_socket(l);
	if (r < 0) {
		close_one(l);
		return r;
	}
	*out = l;
	return 0;
}

/* The open one at this address, taken out of the old list. */
static struct listener *take_open(struct broker *b, const char *bind)
{
	for (size_t i = 0; i < b->listener_count; i++) {
		struct listener *l = b->listeners[i];

		if (l && strcmp(l->door->bind, bind) == 0) {
			b->listeners[i] = NULL;
			return l;
		}
	}
	return NULL;
}

/* What is open gets the new terms for the connections to come. */
static void change_terms(struct listener *l, struct door *door)
{
	door_replace(l->door, door);
	door_unref(l->door);
	l->door = door_ref(door);
	if (is_unix(door->bind) && door->mode != 0 && chmod(door->bind + sizeof(unix_prefix) - 1, door->mode) < 0)
		log_warn("broker: cannot change the mode of %s: %s", door->bind, strerror(errno));
}

int listen_set(struct broker *b, const struct doors *doors)
{
	struct listener **fresh = calloc(doors->count > 0 ? doors->count : 1, sizeof(struct listener *));
	int result = 0;

	if (!fresh)
		return -ENOMEM;
	for (size_t i = 0; i < doors->count; i++) {
		fresh[i] = take_open(b, doors->list[i]->bind);
		if (fresh[i])
			change_terms(fresh[i], doors->list[i]);
	}
	listen_close(b); /* first: a new one may want the address of an old one */
	for (size_t i = 0; i < doors->count; i++) {
		int r = fresh[i] ? 0 : open_one(&fresh[i], b, doors->list[i]);

		if (r < 0 && result == 0)
			result = r;
	}
	b->listeners = fresh;
	b->listener_count = doors->count;
	return result;
}

void listen_close(struct broker *b)
{
	for (size_t i = 0; i < b->listener_count; i++)
		close_one(b->listeners[i]);
	free(b->listeners);
	b->listeners = NULL;
	b->listener_count = 0;
}
