/* SPDX-License-Identifier: MIT */
/* rig.h - a broker without listeners and without a thread: clients are socket pairs, time is a fake clock, and a
 * turn of the loop happens when a test says so. */
#ifndef TESTS_BROKER_RIG_H
#define TESTS_BROKER_RIG_H

#include "base/cursor.h"
#include "broker/core.h"
#include "tests/lib/fake_clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rig {
	struct fake_clock clock;
	struct broker_opts opts;
	struct broker *broker;
};

/* Options as the key table has them, $SYS off. opts may be changed between rig_defaults() and rig_start(). */
void rig_defaults(struct rig *r);
void rig_start(struct rig *r, const struct persist *persist);
void rig_stop(struct rig *r);
void rig_turn(struct rig *r); /* until nothing is left to do at this moment */
void rig_pass_ms(struct rig *r, int64_t ms);

/* A client: the test's end of a socket pair. */
int rig_open(struct rig *r);
int rig_connect(
	struct rig *r, uint8_t version, const char *client_id, bool clean); /* CONNACK is read; 5: no reason strings */
void rig_send(struct rig *r, int fd, const void *bytes, size_t len);
/* One turn, then all that has come: its length. Closed: *closed. */
size_t rig_read(struct rig *r, int fd, uint8_t *out, size_t cap, bool *closed);
void rig_expect(struct rig *r, int fd, const void *bytes, size_t len); /* exactly this, and nothing behind it */
bool rig_closed(struct rig *r, int fd);

/* Packets; each returns its length. */
size_t rig_publish(uint8_t *out, uint8_t version, const char *topic, const char *payload, uint8_t flags, uint16_t id);
size_t rig_subscribe(uint8_t *out, uint8_t version, uint16_t id, const char *filter, uint8_t options);
size_t rig_answer(uint8_t *out, uint8_t type, uint16_t id);

/* The whole hand-shake of a subscription. */
void rig_subscribed(struct rig *r, int fd, uint8_t version, const char *filter, uint8_t options);

#endif
