/* SPDX-License-Identifier: MIT */
/* peer.h - who is at the other end of a connection, as far as the socket and what stands before it can tell.
 *
 * Owner     broker thread. Asked when it is needed; nothing is kept.
 */
#ifndef BROKER_PEER_H
#define BROKER_PEER_H

#include "broker/conn.h"

#include <stddef.h>

enum { PEER_ADDRESS_MAX = 56, PEER_USER_MAX = 256 };

/* "192.0.2.1:4711", "[2001:db8::1]:4711", "unix", "unix:1000" (its uid); what a trusted proxy says goes first. Returns
 * out. */
const char *peer_address(const struct conn *c, char *out, size_t cap);
const char *peer_host(const struct conn *c, char *out, size_t cap); /* the same without the port */
/* What stands for its address, all its ports, and all addresses of an IPv6 network, of which anybody has many. */
uint32_t peer_key(const struct conn *c);
/* The user that the connection itself proves: by its certificate, or by the uid at a unix socket. false: none. */
bool peer_user(const struct conn *c, char *out, size_t cap);

#endif
