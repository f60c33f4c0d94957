/* SPDX-License-Identifier: MIT */
#include "broker/door.h"

#include "broker/broker.h"
#include "broker/conn.h"
#include "broker/packet.h"
#include "broker/proxy.h"
#include "broker/tls.h"
#include "broker/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- life --------------------------------------------------------------------------------------------------- */

struct door *door_ref(struct door *d)
{
	if (d)
		d->refs++;
	return d;
}

void door_unref(struct door *d)
{
	while (d && --d->refs == 0) {
		struct door *heir = d->heir;

		for (size_t i = 0; i < d->ws.origin_count; i++)
			free(d->ws.origins[i]);
		free(d->ws.origins);
		free(d->ws.path);
		free(d->proxies);
		tls_unref(d->tls);
		users_unref(d->users);
		free(d->mount);
		free(d->bind);
		free(d);
		d = heir;
	}
}

static int take_websocket(struct door *d, const struct broker_listener *o)
{
	const char *const *origins = o->origins.items;

	d->websocket = true;
	d->ws.path = strdup(o->path ? o->path : "/mqtt");
	d->ws.origins = calloc(o->origins.count + 1, sizeof(char *));
	if (!d->ws.path || !d->ws.origins)
		return -ENOMEM;
	for (size_t i = 0; i < o->origins.count; i++) {
		d->ws.origins[i] = strdup(origins[i]);
		if (!d->ws.origins[i])
			return -ENOMEM;
		d->ws.origin_count++;
	}
	return 0;
}

static int take_proxies(struct door *d, const struct key_list *texts)
{
	const char *const *items = texts->items;

	d->proxies = calloc(texts->count, sizeof(*d->proxies));
	if (!d->proxies)
		return -ENOMEM;
	for (; d->proxy_count < texts->count; d->proxy_count++)
		if (net_parse(&d->proxies[d->proxy_count], items[d->proxy_count]) < 0)
			return -EINVAL;
	return 0;
}

/* Whether it was written with a slash at its end or without. */
static int take_mount(struct door *d, const char *at)
{
	size_t len = strlen(at);

	len -= len > 0 && at[len - 1] == '/';
	d->mount = malloc(len + 2);
	if (!d->mount)
		return -ENOMEM;
	memcpy(d->mount, at, len);
	strcpy(d->mount + len, "/");
	d->mount_len = len + 1;
	return 0;
}

static int door_new(struct door **out, const struct broker_listener *o)
{
	struct door *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct door){
		.refs = 1,
		.bind = strdup(o->bind),
		.versions = o->versions != 0 ? o->versions : BROKER_TAKES_ALL,
		.mode = o->mode ? (unsigned)strtoul(o->mode, NULL, 8) : 0,
		.max_connections = (uint32_t)o->max_connections,
		.allow_anonymous = o->allow_anonymous,
		.peer_user = o->peer_user,
		.proxy = o->proxy_protocol,
		.client_id = o->client_id,
		.rate = {o->publish_rate, o->publish_byte_rate},
		.max_packet = (uint32_t)o->max_packet_size,
	};
	r = d->bind ? 0 : -ENOMEM;
	if (r == 0 && o->protocol == BROKER_WEBSOCKET)
		r = take_websocket(d, o);
	if (r == 0 && o->proxies.count > 0)
		r = take_proxies(d, &o->proxies);
	if (r == 0 && o->mount_point)
		r = take_mount(d, o->mount_point);
	if (r == 0 && o->users)
		r = users_load(&d->users, o->users);
	if (r == 0 && o->tls.cert)
		r = tls_new(&d->tls, &o->tls);
	if (r < 0) {
		door_unref(d);
		return r;
	}
	*out = d;
	return 0;
}

int doors_new(struct doors *out, const struct key_list *listeners)
{
	const struct broker_listener *opts = listeners->items;
	struct doors d = {calloc(listeners->count > 0 ? listeners->count : 1, sizeof(struct door *)), 0};
	int r = d.list ? 0 : -ENOMEM;

	for (; r == 0 && d.count < listeners->count; d.count += r == 0)
		r = door_new(&d.list[d.count], &opts[d.count]);
	if (r < 0) {
		doors_free(&d);
		return r;
	}
	*out = d;
	return 0;
}

bool doors_have_users(const struct doors *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->list[i]->users)
			return true;
	return false;
}

void doors_free(struct doors *d)
{
	for (size_t i = 0; i < d->count; i++)
		door_unref(d->list[i]);
	free(d->list);
	*d = (struct doors){0};
}

const struct door *door_now(const struct door *d)
{
	while (d && d->heir)
		d = d->heir;
	return d;
}

void door_replace(struct door *old, struct door *fresh)
{
	fresh->connections = old->connections;
	old->heir = door_ref(fresh);
}

/* --- connections -------------------------------------------------------------------------------------------- */

bool door_enter(struct door *d)
{
	if (!d)
		return true;
	if (d->max_connections > 0 && d->connections >= d->max_connections)
		return false;
	d->connections++;
	return true;
}

void door_leave(struct door *d)
{
	while (d && d->heir)
		d = d->heir;
	if (d)
		d->connections--;
}

int door_transport(const struct door *d, struct conn *c, const struct tls_hands *hands)
{
	struct transport *top = NULL;
	int r = 0;

	if (d && d->proxy)
		r = proxy_new(&top, c->fd);
	if (r == 0 && d && d->tls)
		r = tls_wrap(d->tls, &top, c->fd, hands);
	if (r == 0 && d && d->websocket)
		r = ws_wrap(&d->ws, &top, c->fd);
	if (r < 0) {
		transport_free(top);
		return r;
	}
	c->transport = top;
	for (; top; top = top->below)
		top->conn = c;
	return 0;
}

bool door_takes(const struct door *d, uint8_t version)
{
	static const unsigned flag[] = {
		[MQTT_31] = BROKER_TAKES_31, [MQTT_311] = BROKER_TAKES_311, [MQTT_5] = BROKER_TAKES_5};

	return !d || version >= sizeof(flag) / sizeof(flag[0]) || d->versions & flag[version];
}
