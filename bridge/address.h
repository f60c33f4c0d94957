/* SPDX-License-Identifier: MIT */
/* address.h - where an upstream is: mqtt://host[:port], mqtts://, ws://host[:port][/path], wss://. Pure. */
#ifndef BRIDGE_ADDRESS_H
#define BRIDGE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* As Paho names it, with the port that the scheme has by default. -EINVAL: no such scheme; -ENAMETOOLONG. */
int address_uri(const char *address, char *out, size_t cap, bool *tls);

/* What is wrong with an address, and what would be right; false: nothing. A password in it is not repeated. */
enum { ADDRESS_TROUBLE = 240 };
bool address_trouble(char out[ADDRESS_TROUBLE], const char *address);

bool address_host(const char *address, char *out, size_t cap); /* false: it has none, or it does not fit */

#endif
