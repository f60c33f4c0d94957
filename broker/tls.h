/* SPDX-License-Identifier: MIT */
/* tls.h - TLS 1.2 and 1.3 on the broker's own loop, by OpenSSL.
 *
 * Owner     a struct tls is made by any thread, which reads the files, and the broker thread's after that; its
 *           connections hold references, so that they outlive a reload. Only files read anew count for new ones.
 * Memory    a connection without data in flight owns no record buffers.
 * Fairness  of all connections together TLS_STEPS hand-shake steps run per turn of the loop; who comes later in the
 *           turn waits for the next one, behind the data of those who are connected.
 * Resuming  by tickets, whose keys end with the struct: after a reload nobody gets in on an older check of a
 *           certificate.
 */
#ifndef BROKER_TLS_H
#define BROKER_TLS_H

#include "base/loop.h"
#include "broker/broker.h"
#include "broker/transport.h"

enum { TLS_STEPS = 4 };

struct tls;

struct tls_budget {
	struct loop *loop;
	struct loop_task refill;
	unsigned left;
};
void tls_budget_init(struct tls_budget *b, struct loop *loop);

int tls_new(struct tls **out, const struct broker_tls *opts); /* what is wrong with its files is logged */
struct tls *tls_ref(struct tls *t);
void tls_unref(struct tls *t); /* NULL is fine */
/* Puts the layer on *io (NULL: the socket itself), which it owns from then on. On failure *io stays the caller's. */
int tls_wrap(struct tls *t, struct transport **io, int fd, struct tls_budget *budget);

/* Does t list the certificate as revoked that a connection with these layers came in with? false without one. */
bool tls_revokes(const struct tls *t, const struct transport *top);

/* Why the hand-shake of a connection with these layers failed, in OpenSSL's words; NULL: it did not. */
const char *tls_fault(const struct transport *top);

#endif
