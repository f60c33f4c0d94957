/* SPDX-License-Identifier: MIT */
/* paho_connect.h - a call's options as Paho wants them, and all that they point to. The one file that includes
 * MQTTAsync.h: whoever needs Paho's types has them from here.
 */
#ifndef BRIDGE_PAHO_CONNECT_H
#define BRIDGE_PAHO_CONNECT_H

#include "bridge/bridge.h"
#include "bridge/credentials.h"
#include "bridge/token.h"
#include "bridge/uplink.h"

#include <MQTTAsync.h>
#include <stdbool.h>

enum { PAHO_PASSWORD = 65535, PAHO_WHY = 256 };

struct paho_connect {
	MQTTAsync_connectOptions o;
	MQTTAsync_SSLOptions ssl;
	MQTTAsync_willOptions will;
	MQTTProperties props;
	MQTTProperty prop[3];
	unsigned char alpn[64];
	char password[PAHO_PASSWORD], username[512], proxy[CREDENTIALS_PROXY], tls_proxy[CREDENTIALS_PROXY + 1];
};

/* c is zeroed. Callbacks and their context are the caller's. */
void paho_connect_options(struct paho_connect *c, const struct bridge_opts *o, const struct uplink_call *call);

/* What the files of this call have to say; read anew each time, so that what was renewed counts with the next call.
 * CREDENTIALS_BAD: why[PAHO_WHY] is a sentence. */
int paho_connect_credentials(
	struct paho_connect *c, const struct bridge_opts *o, bool tls, const struct token_facts *facts, char *why);

/* For people: what OpenSSL's line says. */
void paho_connect_reason(char *out, size_t cap, const char *line);

#endif
