/* SPDX-License-Identifier: MIT */
/* resolve.h - host names to addresses, while the thread that asks serves others.
 *
 * Looking up takes seconds when a name server is gone, and cannot be broken off. So lines that share a thread have it
 * done by a thread that does nothing else, one name at a time, in the order they were asked for. An address in digits
 * is read at once.
 *
 * Memory    a question belongs to who asks and to the thread, and goes with the second of them.
 */
#ifndef DRIVERS_RESOLVE_H
#define DRIVERS_RESOLVE_H

#include "drivers/wait.h"

#include <netdb.h>

struct resolver;

int resolver_new(struct resolver **out); /* its thread starts with the first name */
void resolver_free(struct resolver *r);  /* does not wait for a lookup that is under way; NULL is fine */

/* On the fibre or thread of a line: waits until it is known. 0: *out is to be given to freeaddrinfo(). -ECANCELED: the
 * line is to stop; -EHOSTUNREACH: there is no such name; or -errno. */
int resolve(struct waiter *w, const char *host, const char *service, struct addrinfo **out);

#endif
