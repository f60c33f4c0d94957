/* SPDX-License-Identifier: MIT */
/* paho_trust.h - which server Paho's TLS connections are to believe.
 *
 * Owner     the bridge's loop thread; `refused` is called on Paho's threads, during a handshake.
 * Scope     every TLS context that is made in this process from paho_trust_new() on: in the process of an upstream
 *           these are Paho's, and no others.
 * Rules     without pins the chain decides, as tls.ca or the system has it. With pins and no tls.ca the server's own
 *           key decides, and neither signature, name nor date count. With both the chain has to be good, and one of its
 *           keys to be listed. Without tls.verify only pins are looked at. tls.min_version holds in any case.
 */
#ifndef BRIDGE_PAHO_TRUST_H
#define BRIDGE_PAHO_TRUST_H

#include "bridge/bridge.h"

struct paho_trust;

struct paho_trust_opts {
	const struct bridge_tls *tls;
	const char *host;                            /* that the certificate has to be for; read at each handshake */
	void (*refused)(void *ctx, const char *why); /* a sentence; the handshake then fails */
	void (*trusted)(void *ctx);                  /* the server's certificate is believed */
	void *ctx;
};

int paho_trust_new(struct paho_trust **out, const struct paho_trust_opts *opts);
void paho_trust_free(struct paho_trust *t); /* after the last context is gone; NULL is fine */

#endif
