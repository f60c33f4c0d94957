/* SPDX-License-Identifier: MIT */
/* refer.h - where a server sends us (Server Reference of MQTT 5), and whether we go. Pure.
 *
 * Going there means to show it our credentials. So a server that the configuration does not name is followed only where a
 * server proved to be who it is by TLS before it said so, and then with TLS, so that the other has to prove it as well.
 */
#ifndef BRIDGE_REFER_H
#define BRIDGE_REFER_H

#include "bridge/bridge.h"

#include <stddef.h>

/* The first of the reference's names ("host", "host:port", with blanks between several) as an address with the scheme and
 * the path of `from`, which said it. 0; UNCLEAR: it is no name of a host; REFUSED: o->redirect does not let us. */
enum { REFER_UNCLEAR = 1, REFER_REFUSED = 2 };
int refer_address(const struct bridge_opts *o, const char *from, const char *reference, char *out, size_t cap);

#endif
