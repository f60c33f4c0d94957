/* SPDX-License-Identifier: MIT */
/* proxy.h - the PROXY protocol, version 2: what a load balancer says before the first byte of its client, who that is.
 *
 * Only on listeners that say so: anybody could claim any address otherwise. There, a connection that does not begin
 * with the header is closed.
 */
#ifndef BROKER_PROXY_H
#define BROKER_PROXY_H

#include "broker/transport.h"

#include <stdint.h>

enum { PROXY_HEAD = 16, PROXY_MAX = 16 + 1024, PROXY_ADDRESS = 56 };

/* Pure. PROXY_SHORT: *need bytes are needed in all to go on. PROXY_LOCAL: the balancer's own (a health check): no
 * address. 0: *need is where the client's bytes begin, address is text ("192.0.2.1:4711", "[2001:db8::1]:4711", empty
 * for families that have none). */
enum { PROXY_SHORT = 1, PROXY_LOCAL = 2, PROXY_BAD = 3 };
int proxy_decode(const uint8_t *bytes, size_t len, size_t *need, char address[PROXY_ADDRESS]);

/* The layer that reads the header off the socket and then only passes on. */
int proxy_new(struct transport **out, int fd);

#endif
