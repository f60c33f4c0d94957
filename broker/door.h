/* SPDX-License-Identifier: MIT */
/* door.h - the terms on which one listener lets clients in: what the configuration says of it, made ready.
 *
 * Owner     made by any thread (files are read then), the broker thread's from doors_new() on. Each of its connections
 *           holds a reference: a listener may be changed or closed while they stay.
 * Bounds    max_connections of the listener, over reloads too: what replaces a door takes over its count.
 */
#ifndef BROKER_DOOR_H
#define BROKER_DOOR_H

#include "broker/nets.h"
#include "broker/rate.h"
#include "broker/transport.h"
#include "broker/ws.h"
#include "config/key.h"

#include <stdint.h>

struct tls;
struct conn;
struct tls_hands;
struct users;

struct door {
	uint32_t refs;
	char *bind;
	unsigned versions; /* enum broker_versions */
	unsigned mode;     /* of a unix socket */
	uint32_t max_connections, connections;
	bool allow_anonymous, peer_user, proxy;
	int client_id;       /* enum broker_client_id */
	char *mount;         /* with a slash behind it; NULL: none */
	size_t mount_len;    /* with the slash */
	struct users *users; /* a reference; NULL: those of the broker */
	struct rate_terms rate;
	uint32_t max_packet; /* 0: that of the broker */
	struct tls *tls;     /* a reference; NULL: none */
	bool websocket;
	struct ws_terms ws;
	struct net *proxies; /* who may speak for others, with proxy; none: anybody */
	size_t proxy_count;
	struct door *heir; /* what replaced it at a reload; a reference */
};

struct doors {
	struct door **list; /* NULL where one was taken */
	size_t count;
};

int doors_new(struct doors *out, const struct key_list *listeners); /* of struct broker_listener; logs what is wrong */
void doors_free(struct doors *d);
bool doors_have_users(const struct doors *d); /* some of their own */

struct door *door_ref(struct door *d);
void door_unref(struct door *d); /* NULL is fine */
void door_replace(struct door *old, struct door *fresh);
const struct door *door_now(const struct door *d); /* what it has been replaced by, or itself; NULL is fine */

bool door_enter(struct door *d); /* one connection more; false: there are too many. NULL is a door without bounds */
void door_leave(struct door *d);
/* What c has between itself and its socket; nothing: NULL. */
int door_transport(const struct door *d, struct conn *c, const struct tls_hands *hands);
bool door_takes(const struct door *d, uint8_t version);

#endif
