/* SPDX-License-Identifier: MIT */
/* listen.h - the sockets that clients connect to.
 *
 * Owner     made by broker_new(), then the broker thread's.
 * Bounds    opts.max_connections: one more is closed at once, and counted. Out of descriptors: accepting pauses for
 *           ACCEPT_PAUSE_MS instead of spinning.
 */
#ifndef BROKER_LISTEN_H
#define BROKER_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

struct broker;

int listen_open(struct broker *b); /* all of opts.listeners; what is wrong is logged */
void listen_close(struct broker *b);
int listen_port(const struct broker *b, size_t listener); /* 0: a unix socket; negative: none such */
bool listen_allows_anonymous(const struct broker *b, size_t listener);

#endif
