/* SPDX-License-Identifier: MIT */
/* address.h - `bind:` of a listener, and the sockets it stands for.
 *
 * Forms     "host:port", "[v6]:port", ":port" (both families in one socket, or IPv4 alone where there is no IPv6),
 *           "unix:/path", "systemd:NAME". A name stands for all of its addresses; `localhost` for 127.0.0.1 and ::1,
 *           whatever the resolver says [RFC 6761 6.3]. An address of a family that this machine does not have is left
 *           out, as long as one is there. With port 0 the others get the port of the first.
 */
#ifndef BROKER_ADDRESS_H
#define BROKER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_SOCKETS = 8 };

/* Listening sockets for the caller: how many, or -errno and none. mode: of a unix socket; 0: as the umask has it. */
int address_open(int fds[ADDRESS_SOCKETS], const char *bind, unsigned mode);
/* What is wrong with a `bind:` that can be told without opening it, and what would be right; false: nothing. */
enum { ADDRESS_BIND_TROUBLE = 240 };
bool address_bind_trouble(char out[ADDRESS_BIND_TROUBLE], const char *bind);
int address_port(int fd);                   /* 0: it has none */
const char *address_path(const char *bind); /* of a unix socket; NULL: it is none */

#endif
