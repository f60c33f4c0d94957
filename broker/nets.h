/* SPDX-License-Identifier: MIT */
/* nets.h - addresses and networks as an operator writes them, and whether a peer is in one of them. Pure.
 *
 * "10.0.0.5", "10.1.0.0/16", "2001:db8::/32". IPv4 is kept as IPv6 mapped, so that a peer at a socket of both families
 * is found as well.
 */
#ifndef BROKER_NETS_H
#define BROKER_NETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr_storage;

struct net {
	uint8_t address[16];
	uint8_t bits; /* how many of it count */
};

int net_parse(struct net *out, const char *text); /* 0 or -EINVAL */
/* false for families without addresses, too. */
bool nets_have(const struct net *list, size_t count, const struct sockaddr_storage *peer);

#endif
