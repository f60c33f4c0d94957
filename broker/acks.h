/* SPDX-License-Identifier: MIT */
/* acks.h - packets to a client that wait for a commit.
 *
 * Owner     broker thread.
 * Order     the answers to its publishes leave in the order of these; one that waits holds back those behind it. The
 *           same for what is on its way to it (QoS 2, PUBREL, SUBACK), apart from the first: what a client publishes to a
 *           store that is stuck does not keep from it what others publish. All else passes.
 * Gate      after a CONNACK that waits, everything does.
 * Memory    32 bytes per packet, and up to 512 for the words of a refusal, of which MQTT 5 clients have no more waiting
 *           than opts.receive_maximum; at most 65,536 answers a connection: past that it is not read. On their way are no
 *           more than the window has.
 */
#ifndef BROKER_ACKS_H
#define BROKER_ACKS_H

#include "broker/conn.h"
#include "broker/durable.h"
#include "broker/words.h"

/* How far a publish that was held has come: what must not be done twice. */
struct progress {
	uint64_t ticket;
	uint16_t taps;
	bool kept;
};

/* Answers a publish now, or when the tickets are committed. */
void acks_answer(struct conn *c, uint8_t type, uint16_t id, uint8_t reason, struct tickets t);
/* A refusal of a publish, which waits for nothing but those before it. */
void acks_refuse(struct conn *c, uint8_t type, uint16_t id, uint8_t reason, const struct words *w);
/* PUBREL, or the PUBLISH that is in the window under this id, when the ledger has committed it. */
void acks_flight(struct conn *c, uint8_t type, uint16_t id, uint64_t ticket);
/* A packet, in the same order. true: it waits; once it has left, replay_begin() gets what stands behind it. */
bool acks_bytes(struct conn *c, const uint8_t *bytes, size_t len, size_t behind, uint64_t ticket);
/* What is sent to c from now on stays in its output until this is committed. 0 or -ENOMEM. */
int acks_gate(struct conn *c, uint64_t ticket);

bool acks_full(const struct conn *c); /* too many answers wait */
void acks_forget(struct conn *c);     /* the connection goes; what waits behind the gate as well */
void acks_release(struct broker *b);  /* something was committed */

/* The publish at hand of a held connection. */
struct progress acks_progress(const struct conn *c);     /* nothing for others */
int acks_hold(struct conn *c, const struct progress *p); /* 0 or -ENOMEM */

#endif
