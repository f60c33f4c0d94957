/* SPDX-License-Identifier: MIT */
/* ws.h - WebSocket as a layer under MQTT: its frames are taken off what comes in and put around what goes out.
 *
 * Owner     the connection. The terms are its door's.
 * Memory    a buffer of WS_REQUEST_MAX until the request is through; then none: frames are taken apart in the place
 *           they were read to, however they are cut.
 */
#ifndef BROKER_WS_H
#define BROKER_WS_H

#include "broker/transport.h"

struct ws_terms {
	char *path;
	char **origins;
	size_t origin_count;
};

/* Puts the layer on *io (NULL: the socket itself), which it owns from then on. On failure *io stays the caller's. */
int ws_wrap(const struct ws_terms *terms, struct transport **io, int fd);

#endif
