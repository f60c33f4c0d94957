/* SPDX-License-Identifier: MIT */
/* route.h - where a message goes: to the store when an upstream wants it, to the broker always.
 *
 * A lane is a thread's way in: each line has one, the broker has one, main has one. On a lane the store comes first;
 * the broker gets the message live without waiting for the disk. Nothing is dropped on the way: when the store or
 * the broker cannot take it, the lane says ROUTE_BUSY; its thread keeps the message and holds its source back.
 *
 * Rules change at a reload: route_set_rules() puts new ones in place and returns once no lane looks at the old ones.
 */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "base/msg.h"
#include "bridge/bridge.h"
#include "broker/broker.h"
#include "broker/persist.h"
#include "store/store.h"

struct route;
struct lane;

enum { ROUTE_BUSY = 1, ROUTE_FULL = 2 };

int route_new(struct route **out, struct store *store);   /* store NULL: nothing is ever stored */
void route_free(struct route *r);                         /* after its lanes; NULL is fine */
int route_set_site(struct route *r, const char *site);    /* before the broker runs: our name among gateways */
void route_set_broker(struct route *r, struct broker *b); /* before anything is published */

/* Main; lanes may be in use. The upstreams stay the caller's and must live until they are replaced. */
int route_set_rules(struct route *r, const struct bridge_opts *upstreams, size_t count);

int lane_new(struct lane **out, struct route *r); /* main */
void lane_free(struct lane *l);                   /* main, once its thread is gone; NULL is fine */

/* Store, then broker. 0: taken. ROUTE_BUSY: not all the way; come back with the same message (it will not stand in
 * the store twice) or give it up for a newer one. ROUTE_FULL: the store refuses by configuration; the broker has it. */
int lane_publish(struct lane *l, struct msg *m);

/* The store's ticket of the last message that this lane took to it; 0: none. Is it safe? */
uint64_t lane_ticket(const struct lane *l);
bool lane_safe(struct lane *l, uint64_t ticket);

/* The broker's lane, as the broker sees it. */
struct persist lane_persist(struct lane *l);

#endif
