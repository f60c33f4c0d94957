/* SPDX-License-Identifier: MIT */
/* inbound.h - messages from the upstream on their way to main.
 *
 * Owner     the bridge's loop thread.
 * Memory    a ring of INBOUND_CAP messages.
 * When full inbound_add() is not to be called: the uplink brings no more than UPLINK_INBOUND_MAX.
 *
 * Each is sent to main, in order, INBOUND_AT_ONCE at a time, and kept until main said that it has it. One that main
 * could not take is sent again after INBOUND_AGAIN_MS, and those behind it wait: their order stays.
 */
#ifndef BRIDGE_INBOUND_H
#define BRIDGE_INBOUND_H

#include "bridge/bridge.h"
#include "bridge/uplink.h"
#include "bridge/wire.h"

enum { INBOUND_CAP = UPLINK_INBOUND_MAX, INBOUND_AT_ONCE = 32, INBOUND_AGAIN_MS = 100 };

struct inbound {
	const struct bridge_opts *opts;
	struct msg *ring[INBOUND_CAP];
	uint32_t head, sent, tail; /* ever increasing; head..sent are with main, sent..tail wait; the place is the id */
	int64_t again_ms;          /* not before; 0: at once */
	uint64_t unfit;            /* no rule, no valid topic here, or too long for the wire */
	char topic[65536];
};

void inbound_init(struct inbound *in, const struct bridge_opts *opts);
void inbound_fini(struct inbound *in);
enum { INBOUND_UNFIT = 1 };
int inbound_add(struct inbound *in, struct msg *m);                                   /* takes its own reference */
bool inbound_next(struct inbound *in, int64_t now_ms, struct wire_word *word);        /* to be sent now */
uint32_t inbound_answer(struct inbound *in, uint32_t id, bool taken, int64_t now_ms); /* how many are off our hands */
int64_t inbound_due_ms(const struct inbound *in);                                     /* -1: nothing waits for a time */

#endif
