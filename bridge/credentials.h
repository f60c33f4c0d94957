/* SPDX-License-Identifier: MIT */
/* credentials.h - the files of a TLS connection, looked at before it is tried.
 *
 * Paho says "TLS connect failure" of a key that does not fit its certificate, and of much else. Here each file is
 * read and each fault has its own sentence, naming the file and the key of the configuration.
 */
#ifndef BRIDGE_CREDENTIALS_H
#define BRIDGE_CREDENTIALS_H

#include "bridge/bridge.h"

#include <stddef.h>

/* CREDENTIALS_BAD: why is a sentence. wall_s: seconds since 1970, for what has expired. */
enum { CREDENTIALS_BAD = 1 };
int credentials_check(const struct bridge_tls *tls, int64_t wall_s, char *why, size_t cap);

/* The first line of a file. CREDENTIALS_BAD with a sentence; *len without the line's end. */
int credentials_password(const char *path, char *out, size_t cap, size_t *len, char *why, size_t why_cap);

/* proxy with the password of its user in it, as Paho wants it; out holds CREDENTIALS_PROXY bytes. */
enum { CREDENTIALS_PROXY_PASSWORD = 256, CREDENTIALS_PROXY = 1280 };
int credentials_proxy(const struct bridge_opts *o, char *out, size_t cap, char *why, size_t why_cap);

/* All files of a connection, the key of a token too: would the next one get as far as the server with them? */
int credentials_usable(const struct bridge_opts *o, int64_t wall_s, char *why, size_t cap);
/* A sum over what they hold: another one when one of them changed. */
uint64_t credentials_sum(const struct bridge_opts *o);

#endif
