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

#endif
