/* SPDX-License-Identifier: MIT */
/* identity.h - who the devices say they are (function 43), for `weir status`.
 *
 * Owner     main thread and its loop.
 * Asked     `weir read DEVICE id` and `weir scan` find out; a device with `identify: true` is asked by the gateway
 *           itself, once, when it is up. One question at a time, for a line has better to do.
 * Bounds    a line of text for each device that was heard.
 */
#ifndef GATEWAY_IDENTITY_H
#define GATEWAY_IDENTITY_H

#include "base/loop.h"

struct gateway;
struct identity;

int identity_new(struct identity **out, struct gateway *g); /* begins to ask when its loop turns */
void identity_free(struct identity *i);                     /* after the lines have stopped; NULL is fine */

/* lines: "vendor: Acme\nproduct: M1\n", as the errand has it. */
void identity_keep(struct identity *i, const char *device, const char *lines);
const char *identity_of(const struct identity *i, const char *device); /* "Acme M1 2.0"; NULL: not known */

#endif
