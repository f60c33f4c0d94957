/* SPDX-License-Identifier: MIT */
#include "broker/address.h"

#include "broker/inherit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static const char unix_prefix[] = "unix:", inherit_prefix[] = "systemd:";

const char *address_path(const char *bind)
{
	size_t len = sizeof(unix_prefix) - 1;

	return strncmp(bind, unix_prefix, len) == 0 ? bind + len : NULL;
}

int address_port(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	if (a.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&a)->sin_port);
	return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port) : 0;
}

static void set_port(struct sockaddr *a, int port)
{
	if (a->sa_family == AF_INET)
		((struct sockaddr_in *)a)->sin_port = htons((uint16_t)port);
	else if (a->sa_family == AF_INET6)
		((struct sockaddr_in6 *)a)->sin6_port = htons((uint16_t)port);
}

/* --- one socket --------------------------------------------------------------------------------------------- */

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

/* A socket file that nobody listens on is left over from a crash. One whose listener takes nobody in says EAGAIN, and is
 * not waited for. */
static void remove_stale(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

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

static int open_any(const char *port)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = any6.sin6_port};
	int r = bind_to((struct sockaddr *)&any6, sizeof(any6), true);

	return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL ? bind_to((struct sockaddr *)&any4, sizeof(any4), false) : r;
}

/* --- those of a name ---------------------------------------------------------------------------------------- */

/* One more; what this machine has no address for is left out, and told when nothing else was there: *missing. */
static int add(int fds[ADDRESS_SOCKETS], int count, struct sockaddr *a, socklen_t len, int *missing)
{
	int r;

	if (count == ADDRESS_SOCKETS)
		return count;
	if (count > 0)
		set_port(a, address_port(fds[0]));
	r = bind_to(a, len, false);
	if (r >= 0) {
		fds[count] = r;
		return count + 1;
	}
	if (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL)
		return r;
	*missing = r;
	return count;
}

static int open_localhost(int fds[ADDRESS_SOCKETS], const char *port, int *missing)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = a4.sin_port, .sin6_addr = in6addr_loopback};
	int count;

	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	count = add(fds, 0, (struct sockaddr *)&a4, sizeof(a4), missing);
	if (count > 0) {
		int both = add(fds, count, (struct sockaddr *)&a6, sizeof(a6), missing);

		if (both < 0)
			close(fds[0]);
		return both;
	}
	return count < 0 ? count : add(fds, 0, (struct sockaddr *)&a6, sizeof(a6), missing);
}

static int open_found(int fds[ADDRESS_SOCKETS], const char *host, const char *port, int *missing)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
	int count = 0, r = 0;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -EADDRNOTAVAIL;
	for (struct addrinfo *a = found; r >= 0 && a; a = a->ai_next) {
		r = add(fds, count, a->ai_addr, a->ai_addrlen, missing);
		count = r >= 0 ? r : count;
	}
	freeaddrinfo(found);
	while (r < 0 && count > 0)
		close(fds[--count]);
	return r < 0 ? r : count;
}

static int open_tcp(int fds[ADDRESS_SOCKETS], const char *spec)
{
	char host[256] = "";
	const char *colon = strrchr(spec, ':'), *start = spec;
	size_t len = colon ? (size_t)(colon - spec) : 0;
	int missing = -EADDRNOTAVAIL, count;

	if (!colon || len >= sizeof(host))
		return -EINVAL;
	if (len == 0) {
		fds[0] = open_any(colon + 1);
		return fds[0] < 0 ? fds[0] : 1;
	}
	if (len >= 2 && spec[0] == '[' && spec[len - 1] == ']') {
		start++;
		len -= 2;
	}
	memcpy(host, start, len);
	count = strcmp(host, "localhost") == 0 ? open_localhost(fds, colon + 1, &missing)
					       : open_found(fds, host, colon + 1, &missing);
	return count == 0 ? missing : count;
}

int address_open(int fds[ADDRESS_SOCKETS], const char *bind, unsigned mode)
{
	const char *path = address_path(bind);

	if (!path && strncmp(bind, inherit_prefix, sizeof(inherit_prefix) - 1) != 0)
		return open_tcp(fds, bind);
	fds[0] = path ? open_unix(path, mode) : inherit_socket(bind + sizeof(inherit_prefix) - 1);
	return fds[0] < 0 ? fds[0] : 1;
}

/* --- before it is opened ------------------------------------------------------------------------------------ */

static bool trouble(char out[ADDRESS_BIND_TROUBLE], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool trouble(char out[ADDRESS_BIND_TROUBLE], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, ADDRESS_BIND_TROUBLE, fmt, ap);
	va_end(ap);
	return true;
}

/* 0 is any free port. */
static bool is_port(const char *s)
{
	return *s && strlen(s) <= 5 && s[strspn(s, "0123456789")] == '\0' && atoi(s) <= 65535;
}

/* Digits and dots alone are meant as an address: the resolver would look for a name, in vain. */
static bool is_wrong_ipv4(const char *host)
{
	struct in_addr a;

	return *host && host[strspn(host, "0123456789.")] == '\0' && inet_aton(host, &a) == 0;
}

static bool tcp_trouble(char out[ADDRESS_BIND_TROUBLE], const char *bind)
{
	const char *colon = strrchr(bind, ':');
	char host[100] = "";

	if (strstr(bind, "://"))
		return trouble(out, "`%.100s` has a scheme; write host and port alone, as 0.0.0.0:1883", bind);
	if (!colon && is_port(bind))
		return trouble(out, "`%s` has no colon before the port; write 127.0.0.1:%s, or :%s for every address",
			bind, bind, bind);
	if (!colon)
		return trouble(out, "`%.100s` has no port; write 127.0.0.1:1883, or :1883 for every address", bind);
	if (!is_port(colon + 1))
		return trouble(out, "`%.100s` is not a port; use 1 .. 65535", colon + 1);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - bind), bind);
	if (strcmp(host, "*") == 0)
		return trouble(out, "`*` is not an address; write :%s for every address", colon + 1);
	if (strchr(host, ':') && (host[0] != '[' || !strchr(host, ']')))
		return trouble(out, "an IPv6 address stands in brackets; write [%.60s]:%s", host, colon + 1);
	if (is_wrong_ipv4(host))
		return trouble(out, "`%.60s` is not an IPv4 address; use four numbers of 0 .. 255", host);
	return false;
}

bool address_bind_trouble(char out[ADDRESS_BIND_TROUBLE], const char *bind)
{
	const char *path = address_path(bind);
	size_t longest = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (path && (!*path || strlen(path) > longest))
		return trouble(
			out, "the path of a unix socket has 1 to %zu bytes; this one has %zu", longest, strlen(path));
	if (path || strncmp(bind, inherit_prefix, sizeof(inherit_prefix) - 1) == 0)
		return false;
	return tcp_trouble(out, bind);
}
