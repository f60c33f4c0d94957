/* SPDX-License-Identifier: MIT */
/* uplink_paho.h - the uplink over Paho MQTT C.
 *
 * Owner     the bridge's loop thread; Paho's threads only post to the mailbox.
 * A call    has a fresh handle of its own, without Paho's reconnecting or buffering, and of persistence only
 *           what QoS 2 needs (bridge/paho_session.h).
 * Blocking  dial() and publish() may wait for Paho's lock, which its send thread holds while it resolves a name:
 *           the reason why each upstream has a process of its own.
 */
#ifndef BRIDGE_UPLINK_PAHO_H
#define BRIDGE_UPLINK_PAHO_H

#include "bridge/exact.h"
#include "bridge/inbox.h"
#include "bridge/uplink.h"

struct paho;

struct paho_opts {
	const struct bridge_opts *opts;
	const char *client_id;
	struct exact *exact; /* what of QoS 2 outlives the process; NULL: no rule sends at QoS 2 */
	struct inbox *inbox; /* the same of what comes down; NULL: no rule lets QoS 2 in */
	uint32_t tags;       /* every tag is below this */
	/* A message from the server, on Paho's receive thread. It is acknowledged when this returns 0 or above; below 0
	 * the process ends at once. May wait, and then holds up all sending: for milliseconds, as a rule. */
	int (*message)(void *ctx, const struct msg *m, uint16_t id);
	void *ctx;
};

int paho_new(struct paho **out, const struct paho_opts *opts);
void paho_free(struct paho *p); /* NULL is fine */
struct uplink *paho_uplink(struct paho *p);
int paho_fd(const struct paho *p); /* readable: call paho_deliver() */
bool paho_deliver(struct paho *p); /* hands events to uplink->event; true: there may be more */

#endif
