/* SPDX-License-Identifier: MIT */
/* hops.h - the gateways that a message has passed, so that it does not go round in a ring of them. Pure.
 *
 * With MQTT 5 each gateway adds the user property `weir-hop` with its name, behind those that are there already. A
 * gateway that finds its own name, or HOPS_MAX of them, sends the message nowhere any more.
 */
#ifndef BRIDGE_HOPS_H
#define BRIDGE_HOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOPS_NAME "weir-hop"
enum { HOPS_MAX = 8 };

/* props as in base/msg.h. Malformed ones end the search. */
bool hops_passed(const void *props, size_t len, const char *site);

bool hops_is(const void *name, size_t len); /* the name of such a property */
size_t hops_count(const void *props, size_t len);

/* The properties with our name behind them: their length, or 0 where cap is not enough. */
size_t hops_add(const void *props, size_t len, const char *site, uint8_t *out, size_t cap);

#endif
