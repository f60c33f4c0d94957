/* SPDX-License-Identifier: MIT */
#include "broker/nets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED = 12, ALL = 128 };

static const uint8_t mapped[MAPPED] = {[10] = 0xff, [11] = 0xff};

/* What stands behind the slash; without one: all. -1: not a number up to `most`. */
static int parse_bits(const char *slash, int most)
{
	char *end;
	long n;

	if (!slash)
		return most;
	if (slash[1] < '0' || slash[1] > '9')
		return -1;
	n = strtol(slash + 1, &end, 10);
	return *end == '\0' && n <= most ? (int)n : -1;
}

int net_parse(struct net *out, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	int bits = -1;

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	memcpy(out->address, mapped, MAPPED);
	if (inet_pton(AF_INET, host, out->address + MAPPED) == 1) {
		bits = parse_bits(slash, ALL - 8 * MAPPED);
		bits += bits >= 0 ? 8 * MAPPED : 0;
	} else if (inet_pton(AF_INET6, host, out->address) == 1) {
		bits = parse_bits(slash, ALL);
	}
	if (bits < 0)
		return -EINVAL;
	out->bits = (uint8_t)bits;
	return 0;
}

static bool has(const struct net *n, const uint8_t address[16])
{
	size_t whole = n->bits / 8;
	uint8_t rest = (uint8_t)(0xff00 >> n->bits % 8);

	return memcmp(n->address, address, whole) == 0 &&
	       (rest == 0 || ((n->address[whole] ^ address[whole]) & rest) == 0);
}

bool nets_have(const struct net *list, size_t count, const struct sockaddr_storage *peer)
{
	uint8_t address[16];

	memcpy(address, mapped, MAPPED);
	if (peer->ss_family == AF_INET)
		memcpy(address + MAPPED, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	else if (peer->ss_family == AF_INET6)
		memcpy(address, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
	else
		return false;
	for (size_t i = 0; i < count; i++)
		if (has(&list[i], address))
			return true;
	return false;
}
