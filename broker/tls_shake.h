/* SPDX-License-Identifier: MIT */
/* tls_shake.h - the hand-shake of one connection. OpenSSL needs as long for it as the broker for hundreds of messages, so
 * its steps are made by a worker.
 *
 * Owner     broker thread. While a step is away, the SSL and its buffers are the worker's.
 * Bytes     the socket stays with the broker thread: a step is given what came, and what it has to say is written when it
 *           is back. So a connection may end at any time; of its hand-shake the step that is being made is waited for by
 *           nobody, and one that was not begun is never made.
 */
#ifndef BROKER_TLS_SHAKE_H
#define BROKER_TLS_SHAKE_H

#include "base/worker.h"
#include "broker/tls_terms.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls_shake;

enum tls_shake_state { TLS_SHAKE_GOES_ON, TLS_SHAKE_DONE, TLS_SHAKE_FAILED };

/* back(whose): a step is back. */
int tls_shake_new(struct tls_shake **out, struct worker *worker, SSL_CTX *ctx, void (*back)(void *whose), void *whose);
void tls_shake_free(struct tls_shake *s); /* NULL is fine; at any time, and then nothing comes back */

bool tls_shake_is_away(const struct tls_shake *s);                      /* true: nothing of what follows */
int tls_shake_step(struct tls_shake *s, const void *bytes, size_t len); /* 0: it is away; or -errno: it is spoilt */
enum tls_shake_state tls_shake_state(const struct tls_shake *s);
const char *tls_shake_fault(const struct tls_shake *s); /* FAILED: why */

size_t tls_shake_says(const struct tls_shake *s, const char **at); /* what is to be written to the peer */
void tls_shake_said(struct tls_shake *s, size_t len);              /* so much of it was */

SSL *tls_shake_take(struct tls_shake *s); /* DONE: the caller's from now on */
/* What came behind the hand-shake, and was not asked for by it. */
size_t tls_shake_rest(struct tls_shake *s, void *to, size_t len);

#endif
