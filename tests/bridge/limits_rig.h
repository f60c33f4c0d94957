/* SPDX-License-Identifier: MIT */
/* limits_rig.h - a drain whose time, hours and days are the test's, for what rules and limits make of records. */
#ifndef TESTS_LIMITS_RIG_H
#define TESTS_LIMITS_RIG_H

#include "bridge/drain.h"
#include "tests/bridge/fake_uplink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RECORDS = 6000, HOUR_MS = 3600000 };

struct bench {
	struct clock clock;
	int64_t wall_ms, now_ms;
	struct fake_uplink up;
	struct drain *drain;
	struct bridge_opts opts;
	union {
		struct bridge_rule rule, rules[2];
	};
	const char *address[1];
	struct store_record records[RECORDS + 1]; /* by seq */
	uint64_t last;
	uint64_t aside[64];
	size_t aside_count;
	int aside_result;
	int64_t kept_day, kept_bytes;
};

/* An upstream named up at noon, with one rule that makes batches of four. */
int limits_setup(void **state);
int limits_teardown(void **state);
void limits_begin_at(struct bench *b, uint64_t cursor); /* and the link is up */

void limits_add_as(struct bench *b, const char *topic, const char *payload, enum msg_class class, bool gap);
void limits_add(struct bench *b, const char *topic, const char *payload);
void limits_turn(struct bench *b, int64_t later_ms);
void limits_settle_all(struct bench *b, size_t *settled); /* from *settled on, with a turn after each */
struct bridge_counts limits_counts(const struct bench *b);

const char *limits_sent(const struct bench *b, size_t i);                                     /* its payload */
size_t limits_seqs_of(const char *text, uint64_t *out, size_t max);                           /* of its envelopes */
void limits_assert_seqs(const struct bench *b, size_t i, size_t count, const uint64_t *want); /* in its envelopes */
#define SEQS(b, i, ...)                                                                                                \
	limits_assert_seqs(b, i, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (const uint64_t[]){__VA_ARGS__})

#define T(f) cmocka_unit_test_setup_teardown(f, limits_setup, limits_teardown)

#endif
