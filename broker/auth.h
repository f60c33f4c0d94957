/* SPDX-License-Identifier: MIT */
/* auth.h - who comes in, and under which name: by certificate, by the uid at a unix socket, by password, or without.
 *
 * Owner     broker thread. Passwords are hashed by a worker, with a connection held meanwhile: its CONNECT is handled again
 *           when the answer is there. What nobody waits for any more, and was not begun, is not hashed.
 * Bounds    AUTH_JOBS passwords waiting in all, AUTH_JOBS_EACH of one address: one more is refused as busy.
 *           AUTH_KNOWN good passwords are remembered (as a keyed hash, never as they are), AUTH_ADDRESSES addresses
 *           with failures.
 * Delay     after AUTH_FREE failures of an address its next attempt waits, twice as long each time, up to
 *           AUTH_DELAY_MAX_MS; a success halves it.
 */
#ifndef BROKER_AUTH_H
#define BROKER_AUTH_H

#include "broker/decode.h"
#include "broker/peer.h"
#include "broker/users.h"

enum {
	AUTH_JOBS = 256,
	AUTH_JOBS_EACH = 8,
	AUTH_KNOWN = 1024,
	AUTH_ADDRESSES = 4096,
	AUTH_FREE = 3,
	AUTH_DELAY_MS = 250,
	AUTH_DELAY_MAX_MS = 30000,
	AUTH_PATIENCE_MS = 60000 /* a connection whose password is not checked by then is closed */
};

struct broker;
struct auth;

int auth_new(struct auth **out, struct broker *b); /* before the loop ends, auth_free() */
void auth_free(struct auth *a);                    /* NULL is fine */
/* From now on; NULL: no user has a password but, with `listeners`, at listeners that have users of their own: they are
 * in place already. Connections of users that are gone, or have another password, are closed. */
void auth_set_users_take(struct auth *a, struct users *users, bool listeners);

/* 0: let in, user is its name (empty: without one). AUTH_LATER: the connection is held now. Else the reason code. */
enum { AUTH_LATER = 1 };
int auth_check(struct conn *c, const struct connect *m, char user[PEER_USER_MAX]);

bool auth_is_at(const struct conn *c); /* its password waits, or is hashed */
void auth_forget(struct conn *c);      /* it goes, and does not wait for it any more */

#endif
