/* SPDX-License-Identifier: MIT */
/* rights.h - the access rules at work: what a session may, remembered where messages pass; refusals counted and told.
 *
 * Owner     broker thread.
 * Cost      without rules a pointer is looked at. With rules, who reads a topic is part of its route, and whether a
 *           session may write it is remembered for the route it was asked for; both end with the route.
 * Told      once per client, topic and right until the next reload, with the rule that would be needed; RIGHTS_SAID_MAX
 *           in a window, then how many more there were.
 */
#ifndef BROKER_RIGHTS_H
#define BROKER_RIGHTS_H

#include "base/cursor.h"
#include "broker/acl.h"

#include <stddef.h>

struct broker;
struct conn;
struct route;
struct session;
struct rights; /* of a session: what was asked already */

enum { RIGHTS_KNOWN = 32, RIGHTS_TOLD = 4096, RIGHTS_SAID_MAX = 100, RIGHTS_WINDOW_MS = 60000 };

void rights_set_take(struct broker *b, struct acl *acl); /* from now on, for everybody; NULL: all is allowed */

struct acl_who rights_who(const struct session *s);
struct door;
uint8_t rights_place(const struct broker *b, const struct door *d); /* NULL is fine */
void rights_came_by(struct session *s, const struct door *d);       /* its connection: what it may is asked anew */
bool rights_read_slow(const struct session *s, const char *topic, size_t len);
bool rights_write_slow(struct session *s, const struct route *r, const char *topic, size_t len);
bool rights_subscribe(struct session *s, const char *filter, size_t len);
/* Counts and tells: this client was refused this, on this connection; NULL: it has none. */
void rights_refused(
	struct broker *b, const struct conn *c, const struct acl_who *who, enum broker_right right, struct span topic);
void rights_forget(struct session *s); /* at its end, and when it gets another user */

#endif
