/* SPDX-License-Identifier: MIT */
#include "broker/proxy.h"

#include "base/cursor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { VERSION_2 = 2, COMMAND_LOCAL = 0, COMMAND_PROXY = 1, FAMILY_INET = 1, FAMILY_INET6 = 2 };

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* --- decoding ----------------------------------------------------------------------------------------------- */

/* Source address, destination address, source port, destination port; what follows (TLVs) is not looked at. */
static bool read_address(struct cursor *c, int family, size_t size, char *out)
{
	struct span source = cursor_span(c, size);
	char host[INET6_ADDRSTRLEN];
	uint16_t port;

	cursor_span(c, size);
	port = cursor_u16(c);
	cursor_u16(c);
	if (!cursor_ok(c) || !inet_ntop(family, source.at, host, sizeof(host)))
		return false;
	snprintf(out, PROXY_ADDRESS, family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
	return true;
}

int proxy_decode(const uint8_t *bytes, size_t len, size_t *need, char address[PROXY_ADDRESS])
{
	struct cursor c = cursor_on(bytes, len);
	size_t known = len < sizeof(signature) ? len : sizeof(signature);
	uint8_t what, family;
	uint16_t rest;
	bool fine = true;

	address[0] = '\0';
	*need = PROXY_HEAD;
	if (memcmp(bytes, signature, known) != 0)
		return PROXY_BAD;
	if (len < PROXY_HEAD)
		return PROXY_SHORT;
	cursor_span(&c, sizeof(signature));
	what = cursor_u8(&c);
	family = cursor_u8(&c) >> 4;
	rest = cursor_u16(&c);
	*need = PROXY_HEAD + (size_t)rest;
	if (what >> 4 != VERSION_2 || (what & 15) > COMMAND_PROXY || *need > PROXY_MAX)
		return PROXY_BAD;
	if (len < *need)
		return PROXY_SHORT;
	if ((what & 15) == COMMAND_LOCAL)
		return PROXY_LOCAL;
	c = cursor_on(bytes + PROXY_HEAD, rest);
	if (family == FAMILY_INET)
		fine = read_address(&c, AF_INET, 4, address);
	else if (family == FAMILY_INET6)
		fine = read_address(&c, AF_INET6, 16, address);
	return fine ? 0 : PROXY_BAD;
}

/* --- the layer ---------------------------------------------------------------------------------------------- */

struct proxy {
	struct transport t;
	size_t have, need; /* need 0: the header is through */
	uint8_t *head;
	char address[PROXY_ADDRESS];
};

static struct proxy *of(struct transport *t)
{
	return (struct proxy *)(void *)t;
}

static void header_done(struct proxy *p)
{
	p->need = 0;
	free(p->head);
	p->head = NULL;
}

/* Reads no byte beyond the header: what follows belongs to the layer above. */
static int read_header(struct proxy *p)
{
	while (p->need > 0) {
		ssize_t n = recv(p->t.fd, p->head + p->have, p->need - p->have, MSG_DONTWAIT);
		int r;

		if (n <= 0)
			return n == 0 ? -ECONNRESET : -errno;
		p->have += (size_t)n;
		r = proxy_decode(p->head, p->have, &p->need, p->address);
		if (r == PROXY_BAD)
			return -EPROTO;
		if (r != PROXY_SHORT)
			header_done(p);
	}
	return 0;
}

static ssize_t read_on(struct transport *t, void *to, size_t len)
{
	struct proxy *p = of(t);
	int r = p->need > 0 ? read_header(p) : 0;

	if (r < 0) {
		errno = -r;
		return -1;
	}
	return recv(t->fd, to, len, MSG_DONTWAIT);
}

static ssize_t write_on(struct transport *t, const struct iovec *v, int count)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)count};

	return sendmsg(t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int flush(struct transport *t)
{
	(void)t;
	return 0;
}

static bool pending(const struct transport *t)
{
	(void)t;
	return false;
}

static void shut(struct transport *t)
{
	(void)t;
}

static bool peer(const struct transport *t, struct transport_peer *out)
{
	const struct proxy *p = (const struct proxy *)(const void *)t;

	if (p->address[0] == '\0')
		return false;
	snprintf(out->address, sizeof(out->address), "%s", p->address);
	return true;
}

static void release(struct transport *t)
{
	free(of(t)->head);
	free(t);
}

static const struct transport_ops ops = {
	.read = read_on,
	.write = write_on,
	.flush = flush,
	.pending = pending,
	.shut = shut,
	.peer = peer,
	.free = release,
};

int proxy_new(struct transport **out, int fd)
{
	struct proxy *p = calloc(1, sizeof(*p));

	if (p)
		p->head = malloc(PROXY_MAX);
	if (!p || !p->head) {
		free(p);
		return -ENOMEM;
	}
	p->t = (struct transport){.ops = &ops, .fd = fd};
	p->need = PROXY_HEAD;
	*out = &p->t;
	return 0;
}
