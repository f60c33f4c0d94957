/* SPDX-License-Identifier: MIT */
/* alias.h - topic aliases of one connection, in both directions; gone with it.
 *
 * Owner     broker thread.
 * Memory    made with the first alias; from the client at most opts.topic_alias_maximum topics, towards the client
 *           at most ALIAS_OUT topics. The first topics sent get one; there is no replacing.
 */
#ifndef BROKER_ALIAS_H
#define BROKER_ALIAS_H

#include "broker/conn.h"
#include "broker/decode.h"
#include "broker/encode.h"

/* ALIAS_COSTS: bytes by which a packet grows at most that carries topic and alias: the property, and one byte more in each
 * of the two lengths around it. */
enum { ALIAS_OUT = 64, ALIAS_MIN_TOPIC = 4, ALIAS_COSTS = 5 };

/* The topic of a publish with an alias: sets p->topic or learns it. 0, RC_BAD_ALIAS, RC_PROTOCOL (unknown),
 * RC_QUOTA (ration.h), or -ENOMEM. */
int alias_resolve(struct conn *c, struct publish *p);
/* Puts an alias in the packet: instead of the topic when the client knows it, else with it. false: none. */
bool alias_towards(struct conn *c, struct publish_head *h);
void alias_forget(struct conn *c);

#endif
