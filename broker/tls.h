/* SPDX-License-Identifier: MIT */
/* tls.h - TLS 1.2 and 1.3 on the broker's own loop but for the hand-shakes, by OpenSSL.
 *
 * Owner     a struct tls is made by any thread, which reads the files, and the broker thread's after that; its
 *           connections hold references, so that they outlive a reload. Only files read anew count for new ones.
 * Memory    a connection without data in flight owns no record buffers.
 * Hands     hand-shakes are made on a worker (tls_shake.h), while the layer is away; so nobody who is connected waits for
 *           one.
 * Resuming  by tickets, whose keys end with the struct: after a reload nobody gets in on an older check of a
 *           certificate.
 */
#ifndef BROKER_TLS_H
#define BROKER_TLS_H

#include "broker/broker.h"
#include "broker/transport.h"

struct conn;
struct tls;
struct worker;

/* Who makes the hand-shakes, whether it has room for a step of this connection now, and who is to hear when its layer is not
 * away any more. */
struct tls_hands {
	struct worker *worker;
	bool (*has_room)(struct conn *c);
	void (*back)(struct conn *c);
};

int tls_new(struct tls **out, const struct broker_tls *opts); /* what is wrong with its files is logged */
void tls_unref(struct tls *t);                                /* NULL is fine */
/* Puts the layer on *io (NULL: the socket itself), which it owns from then on. On failure *io stays the caller's. */
int tls_wrap(struct tls *t, struct transport **io, int fd, const struct tls_hands *hands);

/* Does a step of the hand-shake of a connection with these layers wait, or is it made? false though it is away: there was no
 * room. */
bool tls_is_at_work(const struct transport *top);

/* Does t list the certificate as revoked that a connection with these layers came in with? false without one. */
bool tls_revokes(const struct tls *t, const struct transport *top);

/* Why the hand-shake of a connection with these layers failed, in OpenSSL's words; NULL: it did not. */
const char *tls_fault(const struct transport *top);

#endif
