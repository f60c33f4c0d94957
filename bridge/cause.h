/* SPDX-License-Identifier: MIT */
/* cause.h - why a call did not come up, for whoever stands before it at night: what happened, and where to look. Pure. */
#ifndef BRIDGE_CAUSE_H
#define BRIDGE_CAUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cause {
	const char *said; /* by the library */
	const char *host;
	bool tls;
	bool trusted;  /* the server's certificate was seen, and is believed */
	bool has_cert; /* we have one to show */
};

void cause_write(char *out, size_t cap, const struct cause *c);
const char *cause_of_code(uint8_t code);        /* what to look at when a CONNACK says this; empty: nobody knows */
const char *cause_of_certificate(int x509_err); /* the same when OpenSSL says this of the server's */

#endif
