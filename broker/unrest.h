/* SPDX-License-Identifier: MIT */
/* unrest.h - what is unusual about a client and nobody would otherwise hear of: it comes back again and again, two
 * clients fight for one id, an address has too many connections or comes where only load balancers may, it is slowed for
 * publishing too fast, it publishes many times what it usually does, it publishes or subscribes where it may not, it is
 * not let in.
 *
 * Owner     broker thread.
 * Memory    a fixed table, found by a hash of client id and kind; a newer client takes the place of an older one that
 *           hashes alike, so under a crowd of ids something may go unsaid or be said again.
 * Said      once per window and client: when the count of that kind is reached within UNREST_WINDOW_MS, with the
 *           sentence to the gateway's event topic and to the log; UNREST_SAID_MAX in all per window, then how many
 *           more there were.
 */
#ifndef BROKER_UNREST_H
#define BROKER_UNREST_H

#include "base/cursor.h"

#include <stddef.h>
#include <stdint.h>

struct acl_who;
struct broker;
struct conn;

enum unrest_kind {
	UNREST_COMES_BACK,
	UNREST_TAKEN_OVER,
	UNREST_SLOWED,
	UNREST_REFUSED,
	UNREST_CROWD,
	UNREST_FLOODS,
	UNREST_STRANGER,
	UNREST_NOT_LET_IN,
	UNREST_KINDS
};

enum { UNREST_WINDOW_MS = 60000, UNREST_SLOTS = 1024, UNREST_SAID_MAX = 20 };

struct unrest;

int unrest_new(struct unrest **out);
void unrest_free(struct unrest *u); /* NULL is fine */
/* name: its client id, or an address. c: its connection, whose address is said too; NULL: the name says it. about: more of
 * it for the sentence, or "". */
void unrest_saw(struct broker *b, enum unrest_kind kind, const struct conn *c, struct span name, const char *about);
/* The same of an address, each of several reasons apart; names: the rest of the sentence, or "". */
void unrest_saw_because(
	struct broker *b, enum unrest_kind kind, struct span name, const char *because, const char *names);
/* The same with a verb, a topic as the client wrote it and its user, NULL: it has none. */
void unrest_saw_topic(struct broker *b, enum unrest_kind kind, const struct conn *c, const struct acl_who *who,
	const char *verb, struct span topic);

#endif
