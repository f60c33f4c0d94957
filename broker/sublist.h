/* SPDX-License-Identifier: MIT */
/* sublist.h - what a session is subscribed to, in any order: for its end, and to find a subscription's entry by its place.
 *
 * Memory    4 bytes a subscription. From SUBLIST_INDEXED of them on, 6 more for an index, so that a client with a million
 *           cannot have the broker look through all of them for each filter of a packet.
 */
#ifndef BROKER_SUBLIST_H
#define BROKER_SUBLIST_H

#include "broker/session.h"

enum { SUBLIST_INDEXED = 1024 };

struct sublist {
	uint32_t cap;
	uint32_t steps;  /* ration.h: what the subscriptions take */
	uint32_t refs[]; /* nodes, or SUB_GROUP | share; the session has their count. Behind cap of them, the index */
};

int sublist_add(struct session *s, uint32_t ref);             /* it is not there yet. 0 or -ENOMEM */
uint32_t sublist_find(const struct session *s, uint32_t ref); /* its place; sub_count: not there */
void sublist_drop(struct session *s, uint32_t ref);           /* the last takes its place, in the page also */
void sublist_pop(struct session *s);                          /* the last subscription, which was undone */
void sublist_free(struct session *s);

static inline uint32_t sublist_steps(const struct session *s)
{
	return s->subs ? s->subs->steps : 0;
}

#endif
