/* SPDX-License-Identifier: MIT */
#include "broker/peer.h"

#include "broker/core.h"
#include "broker/door.h"
#include "broker/levels.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool from_layers(const struct conn *c, struct transport_peer *p)
{
	bool known = false;

	*p = (struct transport_peer){0};
	for (const struct transport *t = c->transport; t; t = t->below)
		known |= t->ops->peer && t->ops->peer(t, p);
	return known;
}

static bool peer_uid(const struct conn *c, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.uid == (uid_t)-1)
		return false;
	*uid = cred.uid;
	return true;
}

/* An IPv4 client at a socket of both families is written as what it is. */
static void say_ip6(char *out, size_t cap, const struct sockaddr_in6 *a)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
		inet_ntop(AF_INET, &a->sin6_addr.s6_addr[12], host, sizeof(host));
		snprintf(out, cap, "%s:%u", host, ntohs(a->sin6_port));
	} else {
		inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host));
		snprintf(out, cap, "[%s]:%u", host, ntohs(a->sin6_port));
	}
}

const char *peer_address(const struct conn *c, char *out, size_t cap)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
	} a;
	socklen_t len = sizeof(a);
	struct transport_peer p;
	char host[INET_ADDRSTRLEN] = "";
	uid_t uid;

	if (from_layers(c, &p) && p.address[0] != '\0') {
		snprintf(out, cap, "%s", p.address);
		return out;
	}
	snprintf(out, cap, "gone");
	if (getpeername(c->fd, (struct sockaddr *)&a, &len) < 0)
		return out;
	if (a.any.ss_family == AF_INET6)
		say_ip6(out, cap, &a.ip6);
	else if (a.any.ss_family == AF_INET)
		snprintf(out, cap, "%s:%u", inet_ntop(AF_INET, &a.ip4.sin_addr, host, sizeof(host)),
			ntohs(a.ip4.sin_port));
	else if (peer_uid(c, &uid))
		snprintf(out, cap, "unix:%u", (unsigned)uid);
	else
		snprintf(out, cap, "unix");
	return out;
}

const char *peer_host(const struct conn *c, char *out, size_t cap)
{
	char *colon;

	peer_address(c, out, cap);
	colon = strncmp(out, "unix", 4) == 0 ? NULL : strrchr(out, ':');
	if (colon)
		*colon = '\0';
	return out;
}

uint32_t peer_key(const struct conn *c)
{
	uint64_t seed = c->broker->sessions.seed;
	char text[PEER_ADDRESS_MAX];
	uint32_t key = census_key_of_text(seed, peer_address(c, text, sizeof(text)));

	return key != 0 ? key : levels_hash(seed, text, strlen(text));
}

/* The name that the system has for the uid: a look into /etc/passwd, once per CONNECT at a unix socket. */
static bool user_of_uid(const struct conn *c, char *out, size_t cap)
{
	struct passwd pw, *found = NULL;
	char room[4096];
	uid_t uid;

	if (!peer_uid(c, &uid) || getpwuid_r(uid, &pw, room, sizeof(room), &found) != 0)
		return false;
	if (found)
		snprintf(out, cap, "%s", found->pw_name);
	else
		snprintf(out, cap, "uid-%u", (unsigned)uid);
	return true;
}

bool peer_user(const struct conn *c, char *out, size_t cap)
{
	struct transport_peer p;

	if (from_layers(c, &p) && p.user[0] != '\0') {
		snprintf(out, cap, "%s", p.user);
		return true;
	}
	return c->door && c->door->peer_user && user_of_uid(c, out, cap);
}
