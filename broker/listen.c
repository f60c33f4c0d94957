/* SPDX-License-Identifier: MIT */
#include "broker/listen.h"

#include "base/log.h"
#include "broker/address.h"
#include "broker/core.h"
#include "broker/lobby.h"
#include "broker/rate.h"
#include "broker/unrest.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 64, ACCEPT_PAUSE_MS = 200, RATE_PAUSE_MS = 20 };

/* One of its sockets: a name may stand for several addresses. */
struct ear {
	struct loop_watch watch;
	struct listener *listener;
	int fd;
};

struct listener {
	struct loop_timer pause; /* it is deaf until then */
	struct loop_timer admit; /* some of those who wait may come in */
	struct lobby lobby;
	struct broker *broker;
	struct door *door; /* a reference */
	struct ear ears[ADDRESS_SOCKETS];
	size_t ear_count;
	int port; /* of the first */
};

int listen_port(const struct broker *b, size_t listener)
{
	return listener < b->listener_count && b->listeners[listener] ? b->listeners[listener]->port : -ENOENT;
}

/* --- accepting ---------------------------------------------------------------------------------------------- */

static int watch_for(struct listener *l, uint32_t events)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->ear_count; i++)
		r = loop_rewatch(l->broker->loop, &l->ears[i].watch, events);
	return r;
}

static void pause_over(struct loop_timer *t)
{
	struct listener *l = (struct listener *)((char *)t - offsetof(struct listener, pause));

	if (watch_for(l, EPOLLIN) < 0)
		loop_arm(l->broker->loop, t, broker_now_ms(l->broker) + ACCEPT_PAUSE_MS);
}

/* Armed whether or not all could be told to rest: an ear that stays deaf would serve nobody any more. */
static void rest(struct listener *l, int64_t ms)
{
	(void)watch_for(l, 0);
	loop_arm(l->broker->loop, &l->pause, broker_now_ms(l->broker) + ms);
}

static void out_of_descriptors(struct listener *l)
{
	log_warn("broker: cannot accept: %s; next try in %d ms (the limit on open files, LimitNOFILE=)",
		strerror(errno), ACCEPT_PAUSE_MS);
	rest(l, ACCEPT_PAUSE_MS);
}

/* The rates of all together: who comes too soon waits. */
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
	unrest_saw(b, why, NULL, (struct span){(const uint8_t *)host, strlen(host)}, "");
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

/* Of those who have left some are not closed yet: who comes waits for them in the kernel's queue. */
static bool waits_for_places(const struct broker *b)
{
	return b->conn_count >= (uint64_t)b->opts.max_connections && turn_has_gone(b);
}

/* Behind a proxy and at a unix socket addresses tell nobody from the others: those wait in the kernel's queue. */
static bool tells_addresses_apart(const struct listener *l)
{
	return !l->door->proxy && !address_path(l->door->bind);
}

static bool may_accept(struct listener *l)
{
	return !too_fast(l) || (tells_addresses_apart(l) && lobby_takes(&l->lobby));
}

static void admit_later(struct listener *l)
{
	if (!l->admit.armed)
		loop_arm(l->broker->loop, &l->admit, broker_now_ms(l->broker) + RATE_PAUSE_MS);
}

static void admit(struct loop_timer *t)
{
	struct listener *l = (struct listener *)((char *)t - offsetof(struct listener, admit));
	struct guest *g;

	while (!too_fast(l) && turn_has_time(l->broker, TURN_ACCEPTS) && !waits_for_places(l->broker) &&
		(g = lobby_leave(&l->lobby)) != NULL) {
		take_in(l, g->fd, &g->from);
		free(g);
	}
	if (l->lobby.count > 0)
		admit_later(l);
}

static void let_wait(struct listener *l, int fd, const struct sockaddr_storage *from)
{
	struct guest *g;
	int r = lobby_come(&l->lobby, fd, census_key(l->broker->sessions.seed, from), from, &g);

	if (r < 0)
		turn_away(l->broker, fd);
	if (r == LOBBY_CROWD) {
		refuse_address(l->broker, g->fd, &g->from, UNREST_CROWD);
		free(g);
	}
	admit_later(l);
}

static void acceptable(struct loop_watch *w, uint32_t events)
{
	struct ear *e = (struct ear *)((char *)w - offsetof(struct ear, watch));
	struct listener *l = e->listener;
	struct sockaddr_storage from;
	socklen_t len;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && turn_has_time(l->broker, TURN_ACCEPTS); i++) {
		int fd;

		if (waits_for_places(l->broker))
			return;
		if (!may_accept(l)) {
			rest(l, RATE_PAUSE_MS);
			return;
		}
		len = sizeof(from);
		from.ss_family = AF_UNSPEC;
		fd = accept4(e->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
			out_of_descriptors(l);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return;
		if (fd >= 0 && (l->lobby.count > 0 || too_fast(l)))
			let_wait(l, fd, &from);
		else if (fd >= 0)
			take_in(l, fd, &from);
	}
}

/* --- opening ------------------------------------------------------------------------------------------------ */

static const char *what_helps(int error)
{
	switch (error) {
	case EADDRINUSE: return "; another program listens there: `sudo ss -ltnp` names it, mosquitto often";
	case EADDRNOTAVAIL: return "; this machine does not have that address: `ip address` lists those it has";
	case EACCES: return "; ports below 1024 need AmbientCapabilities=CAP_NET_BIND_SERVICE in a drop-in of the unit";
	default: return "";
	}
}

static int open_sockets(struct listener *l)
{
	const char *at = l->door->bind;
	int fds[ADDRESS_SOCKETS], count = address_open(fds, at, l->door->mode), r = 0;

	if (count < 0) {
		log_error("broker: cannot listen on %s: %s%s", at, strerror(-count), what_helps(-count));
		return count;
	}
	for (; l->ear_count < (size_t)count; l->ear_count++)
		l->ears[l->ear_count] =
			(struct ear){.listener = l, .fd = fds[l->ear_count], .watch = {.fd = -1, .run = acceptable}};
	l->port = address_port(l->ears[0].fd);
	for (size_t i = 0; r == 0 && i < l->ear_count; i++)
		r = loop_watch(l->broker->loop, &l->ears[i].watch, l->ears[i].fd, EPOLLIN);
	return r;
}

static void close_one(struct listener *l)
{
	if (!l)
		return;
	loop_disarm(l->broker->loop, &l->pause);
	loop_disarm(l->broker->loop, &l->admit);
	lobby_clear(&l->lobby);
	for (size_t i = 0; i < l->ear_count; i++) {
		loop_unwatch(l->broker->loop, &l->ears[i].watch);
		close(l->ears[i].fd);
	}
	if (l->ear_count > 0 && address_path(l->door->bind))
		unlink(address_path(l->door->bind));
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
		.broker = b, .pause = {.run = pause_over}, .admit = {.run = admit}, .door = door_ref(door)};
	lobby_init(&l->lobby);
	r = open_sockets(l);
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
	if (address_path(door->bind) && door->mode != 0 && chmod(address_path(door->bind), door->mode) < 0)
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
