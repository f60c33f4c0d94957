/* SPDX-License-Identifier: MIT */
#include "gateway/addresscheck.h"

#include "bridge/address.h"
#include "broker/address.h"

#include <stdio.h>
#include <string.h>

/* --- listeners ----------------------------------------------------------------------------------------------- */

/* The host part of "host:port", "" for any; NULL for a path. */
static const char *host_of(char out[256], const char *bind, const char **port)
{
	const char *colon = strrchr(bind, ':');

	if (!colon || strncmp(bind, "unix:", 5) == 0)
		return NULL;
	*port = colon + 1;
	snprintf(out, 256, "%.*s", (int)(colon - bind), bind);
	if (strcmp(out, "0.0.0.0") == 0 || strcmp(out, "[::]") == 0 || strcmp(out, "*") == 0)
		out[0] = '\0';
	return out;
}

static bool collide(const char *a, const char *b)
{
	char host_a[256], host_b[256];
	const char *port_a = "", *port_b = "";
	const char *x = host_of(host_a, a, &port_a), *y = host_of(host_b, b, &port_b);

	if (!x || !y)
		return strcmp(a, b) == 0;
	return strcmp(port_a, port_b) == 0 && strcmp(port_a, "0") != 0 && (!*x || !*y || strcmp(x, y) == 0);
}

static void check_listeners(const struct gateway_opts *o, struct key_report *report)
{
	const struct broker_listener *l = o->broker.listeners.items;
	char at[KEY_PLACE];

	for (size_t i = 0; i < o->broker.listeners.count; i++) {
		for (size_t j = 0; j < i && l[i].bind; j++) {
			if (!l[j].bind || !collide(l[i].bind, l[j].bind))
				continue;
			key_fault(report, &l[i], "bind",
				"%s takes the address of %s (%s); give each listener its own port", l[i].bind,
				l[j].bind, key_place(at, &l[j]));
			break;
		}
	}
}

/* Who has the address of this share already: a listener, or a line before it. NULL: nobody. */
static const struct key_head *owner_of(const struct gateway_opts *o, const struct line_opts *l)
{
	const struct broker_listener *listeners = o->broker.listeners.items;

	for (size_t i = 0; i < o->broker.listeners.count; i++)
		if (listeners[i].bind && collide(l->share.bind, listeners[i].bind))
			return &listeners[i].head;
	for (const struct line_opts *other = o->lines.items; other < l; other++)
		if (other->share.bind && collide(l->share.bind, other->share.bind))
			return &other->share.head;
	return NULL;
}

static void check_share(const struct gateway_opts *o, const struct line_opts *l, struct key_report *report)
{
	const struct key_head *owner = owner_of(o, l);
	char at[KEY_PLACE], trouble[ADDRESS_BIND_TROUBLE];

	if (address_bind_trouble(trouble, l->share.bind))
		key_fault(report, &l->share, "bind", "%s", trouble);
	else if (owner)
		key_fault(report, &l->share, "bind", "%s is taken already (%s); give each its own port", l->share.bind,
			key_place(at, owner));
	else if (share_writes(&l->share) && !broker_bind_is_local(l->share.bind))
		key_advice(report, &l->share, "functions",
			"lets anybody who can reach %s write to the devices: Modbus knows no passwords", l->share.bind);
}

static void check_shares(const struct gateway_opts *o, struct key_report *report)
{
	const struct line_opts *lines = o->lines.items;

	for (size_t i = 0; i < o->lines.count; i++)
		if (lines[i].share.bind && !lines[i].share.head.wrong)
			check_share(o, &lines[i], report);
}

/* Both would throw each other off the server for ever. */
static void check_client_ids(const struct gateway_opts *o, struct key_report *report)
{
	const struct bridge_opts *u = o->upstreams.items;

	for (size_t i = 0; i < o->upstreams.count; i++) {
		const char *const *mine = u[i].address.items;

		for (size_t j = 0; j < i && !u[i].head.wrong; j++) {
			const char *const *theirs = u[j].address.items;
			const char *a = u[i].client_id ? u[i].client_id : o->site;
			const char *b = u[j].client_id ? u[j].client_id : o->site;

			if (u[j].head.wrong || !a || !b || strcmp(a, b) != 0 || strcmp(mine[0], theirs[0]) != 0)
				continue;
			key_fault(report, &u[i], u[i].client_id ? "client_id" : NULL,
				"client id `%s` is that of upstream `%s` at the same server, and they would throw each "
				"other off; give it another `client_id`",
				a, u[j].head.name);
			break;
		}
	}
}

/* --- upstreams ----------------------------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
}

static bool leads_to(const char *address, const char *bind)
{
	char uri[512], host_a[256], host_b[256];
	const char *a, *b, *port_a, *port_b;
	char *at;
	bool tls;

	if (address_uri(address, uri, sizeof(uri), &tls) < 0 || (at = strstr(uri, "://")) == NULL)
		return false;
	at += 3;
	at[strcspn(at, "/")] = '\0';
	a = host_of(host_a, at, &port_a);
	b = host_of(host_b, bind, &port_b);
	return a && b && is_loopback(a) && (!*b || is_loopback(b)) && strcmp(port_a, port_b) == 0;
}

/* Below a mount point the topics are others, and may end there. */
static void check_upstream(const struct gateway_opts *o, const struct bridge_opts *u, struct key_report *report)
{
	const struct broker_listener *l = o->broker.listeners.items;
	const char *const *addresses = u->address.items;
	char at[KEY_PLACE];

	for (size_t i = 0; i < o->broker.listeners.count; i++)
		for (size_t j = 0; j < u->address.count && l[i].bind && !l[i].mount_point; j++)
			if (leads_to(addresses[j], l[i].bind)) {
				key_fault(report, u, "address",
					"%s is a listener of this gateway itself (%s): what goes out there comes back "
					"and goes out again, without end; name the server that it is to reach",
					addresses[j], key_place(at, &l[i]));
				return;
			}
}

static void check_upstreams(const struct gateway_opts *o, struct key_report *report)
{
	const struct bridge_opts *u = o->upstreams.items;

	for (size_t i = 0; i < o->upstreams.count; i++)
		if (!u[i].head.wrong)
			check_upstream(o, &u[i], report);
}

void addresscheck(const struct gateway_opts *o, struct key_report *report)
{
	check_listeners(o, report);
	check_shares(o, report);
	check_client_ids(o, report);
	check_upstreams(o, report);
}
