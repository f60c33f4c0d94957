/* SPDX-License-Identifier: MIT */
/* tls_terms.h - on what terms a listener speaks TLS: its files, whom it trusts, and who a certificate says it is.
 *
 * Owner     as tls.h says: loading by any thread, the rest by the broker thread.
 * Results   -EINVAL: a file is not as it should be; other -errno: it cannot be read. Which, and why, is logged.
 * Beside    this is where the broker has OpenSSL's header from; tls.c, tls_shake.c and tls_terms.c alone include it.
 */
#ifndef BROKER_TLS_TERMS_H
#define BROKER_TLS_TERMS_H

#include "broker/broker.h"

#include <openssl/ssl.h>

int tls_terms_load(SSL_CTX *ctx, const struct broker_tls *o);
bool tls_terms_revoke(
	const SSL_CTX *ctx, const X509 *cert); /* the certificate is on its issuer's list of these terms */
/* The user's name as enum broker_tls_user wants it. false: none, or it does not fit. */
bool tls_terms_name(int user, const X509 *cert, char *out, size_t cap);

#endif
