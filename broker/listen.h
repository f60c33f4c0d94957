/* SPDX-License-Identifier: MIT */
/* listen.h - the sockets that clients connect to.
 *
 * Owner     made by broker_new(), then the broker thread's. Keeps its own copy of the addresses.
 * Bounds    opts.max_connections: one more is closed at once, and counted. Faster than the rates of all together: lobby.h. Out of descriptors: accepting pauses for
 *           ACCEPT_PAUSE_MS instead of spinning.
 */
#ifndef BROKER_LISTEN_H
#define BROKER_LISTEN_H

#include "broker/door.h"

#include <stddef.h>

struct broker;

/* These from now on: what is open already stays open, what is not in the list closes (its connections stay). What
 * cannot be opened is logged, and the first such error returned after the others were tried. */
int listen_set(struct broker *b, const struct doors *doors);
void listen_close(struct broker *b);
int listen_port(const struct broker *b, size_t listener); /* 0: a unix socket; negative: none such */

#endif
