/* SPDX-License-Identifier: MIT */
/* route.h - topic to receivers, remembered.
 *
 * Owner     broker thread.
 * Memory    at most ROUTES_MAX topics and ROUTES_BYTES; a new one takes the place of the one in its slot. A topic is
 *           remembered when it is asked for the second time: a hundred thousand topics that come once cost nothing.
 * Truth     a route is used only while its generation is that of subs; so a receiver in it is never gone.
 */
#ifndef BROKER_ROUTE_H
#define BROKER_ROUTE_H

#include "broker/subs.h"

struct broker;
struct session;

enum { ROUTES_FIRST = 256, ROUTES_ASKED = 8192, ROUTES_MAX = 65536, ROUTES_BYTES = 32 * 1024 * 1024 };

enum target_flag {
	TARGET_RAP = 1,
	TARGET_NO_LOCAL = 2,   /* all of its matching subscriptions say so */
	TARGET_SOME_LOCAL = 4, /* some do */
	TARGET_IDS = 8,        /* ids is a place in route->ids: count, then that many */
};

struct target {
	struct session *session;
	uint32_t ids; /* subscription identifiers: 0 none, one, or see TARGET_IDS */
	uint8_t qos, flags;
};

struct route {
	uint64_t serial; /* of the building; no other was or will be */
	uint64_t generation;
	uint32_t hash, bytes, bucket;
	uint32_t target_count, group_count, tap_count, id_count;
	uint16_t topic_len;
	bool selected;          /* an upstream wants it */
	struct target *targets; /* remembered: all of these behind the struct, in its block */
	uint32_t *groups, *taps, *ids;
	char *topic;
};

struct routes {
	struct route **slots;
	uint32_t *asked; /* by hash: the last one that was built */
	uint32_t slot_count, live, misses;
	struct route *last;   /* the one asked for last, if it is remembered */
	struct route passing; /* the one that is not remembered */
	uint64_t bytes, built;
	struct target *targets; /* what is being built */
	uint32_t *ids, *groups, *taps;
	uint32_t target_cap, id_cap, group_cap, tap_cap, mark;
};

int routes_init(struct routes *r);
void routes_fini(struct routes *r);
/* The topic is known to be good when checked is set; else it is checked before a route is made for it. NULL with
 * *fault 0: no memory; else the reason code. Valid until the next call. */
const struct route *route_of(struct broker *b, const char *topic, size_t len, bool checked, int *fault);

#endif
