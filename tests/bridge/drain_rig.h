/* SPDX-License-Identifier: MIT */
/* drain_rig.h - a drain whose store, uplink, clock and host are the test. */
#ifndef TESTS_DRAIN_RIG_H
#define TESTS_DRAIN_RIG_H

#include "bridge/drain.h"
#include "tests/bridge/fake_uplink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RECORDS = 2000, RECORDS_MAX = 6000 };

struct bench {
	struct fake_uplink up;
	struct drain *drain;
	struct bridge_opts opts;
	struct bridge_rule rules[2];
	const char *address[2];
	struct msg *msgs[RECORDS_MAX + 1]; /* by seq */
	uint64_t last;
	struct store_record back[8]; /* put back from quarantine, by seq */
	size_t back_count;
	struct exact *exact; /* NULL: no QoS 2 */
	struct roll *roll;
	struct echo *echo; /* NULL: the upstream knows `no local` */
	const char *start_reason;
	int reads, read_result;
	int64_t now_ms;
	enum bridge_state state;
	char reason[256];
	uint64_t quarantined[64];
	unsigned quarantine_code;
	size_t quarantine_count;
	int quarantine_result;
};

/* An upstream named up with one rule and no status topic; the test changes opts before rig_begin(). */
int rig_setup(void **state);
int rig_teardown(void **state);

void rig_add_class(struct bench *b, const char *topic, const char *payload, enum msg_class class);
void rig_add_topic(struct bench *b, const char *topic, const char *payload);
void rig_add(struct bench *b, int count); /* on p/a, and told to the drain if there is one */
void rig_put_back(struct bench *b, uint64_t seq, const char *topic, const char *payload); /* the drain is not told */
void rig_begin_at(struct bench *b, uint64_t cursor);
void rig_begin(struct bench *b);
void rig_go_up(struct bench *b);
void rig_turn(struct bench *b, int64_t later_ms);

size_t rig_place_of(const struct bench *b, uint64_t seq); /* among what was sent */
void rig_settle_all(struct bench *b);
void rig_settle_until(struct bench *b, uint64_t cursor);

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif
