/* SPDX-License-Identifier: MIT */
/* fake_uplink.h - an upstream that does what the test says, and keeps what it was given. */
#ifndef TESTS_FAKE_UPLINK_H
#define TESTS_FAKE_UPLINK_H

#include "bridge/uplink.h"

enum { FAKE_PARCELS = 4096 };

struct fake_parcel {
	uint32_t tag;
	char topic[64], payload[1024];
	uint64_t seq; /* from the note, 0: none */
	bool late, again, retain, answered;
	uint8_t qos;
	uint64_t record; /* and its sum: what a QoS 2 parcel is known by */
	uint32_t sum;
};

struct fake_held {
	uint16_t id;
	bool released, late;
	char payload[128];
};

struct fake_uplink {
	struct uplink base;
	bool in_call, left;
	int dials, hang_ups;
	char address[64], will[512], filters[4][64];
	size_t filter_count;
	uint32_t filter_tags[4], left_tag;
	char left_filters[4][64]; /* unsubscribed */
	size_t left_count;
	unsigned keep_alive_s;
	int publish_result; /* 0: takes everything */
	struct fake_parcel got[FAKE_PARCELS];
	size_t count;
	bool wipe;                 /* the last call was to have the session forgotten */
	struct fake_held held[16]; /* of the next call, or the present one */
	size_t held_count;
};

void fake_uplink_init(struct fake_uplink *u);
void fake_up(struct fake_uplink *u, const struct uplink_limits *limits); /* NULL: a server that says nothing */
void fake_down(struct fake_uplink *u, uint8_t code);
void fake_referred(struct fake_uplink *u, uint8_t code, const char *reference);
void fake_settle(struct fake_uplink *u, size_t i); /* the ith parcel it was given */
void fake_refuse(struct fake_uplink *u, size_t i, uint8_t code);

void fake_subscribed(struct fake_uplink *u, uint32_t tag, uint8_t code);
void fake_resumed(struct fake_uplink *u);

#endif
