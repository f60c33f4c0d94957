/* SPDX-License-Identifier: MIT */
/* inbound.h - messages from the upstream to main, each acknowledged upstream only once main has it.
 *
 * Owner     Paho's receive thread. It has a socketpair to main of its own, so that it can wait for the answer while it
 *           holds Paho's lock: main answers from its loop and needs nothing of this process for that.
 * Once      at QoS 2, by what the inbox remembers and main answers: a message that was taken is not handed on again.
 * Waiting   PATIENCE_MS for main to take a message, asked again every AGAIN_MS. Main answers when it is safe. One that
 *           main does not take is never acknowledged: the only way to that with Paho is to end the connection, and the
 *           caller does it by ending the process. The upstream then sends the message again.
 */
#ifndef BRIDGE_INBOUND_H
#define BRIDGE_INBOUND_H

#include "bridge/bridge.h"
#include "bridge/echo.h"
#include "bridge/inbox.h"
#include "bridge/wire.h"

#include <stdatomic.h>

enum { INBOUND_PROPS = 8192 };

struct inbound {
	const struct bridge_opts *opts;
	const char *site;
	struct echo *echo;   /* NULL: the upstream sends none */
	struct inbox *inbox; /* NULL: no rule lets QoS 2 in */
	int64_t patience_ms, again_ms;
	struct wire wire;
	uint32_t id;
	atomic_uint_fast64_t taken, unfit, looped;
	char topic[65536];
	uint8_t props[INBOUND_PROPS];
};

int inbound_new(struct inbound **out, const struct bridge_opts *opts, const char *site, struct echo *echo, int fd);
void inbound_free(struct inbound *in); /* the descriptor stays the caller's; NULL is fine */

/* INBOUND_UNFIT: no rule lets it in, it has been here before, it has no valid topic here, or it is too long for the
 * wire: acknowledge and forget. 0: main has it. -ETIMEDOUT, -ECONNRESET and the like: main has it not. */
enum { INBOUND_UNFIT = 1 };
int inbound_deliver(struct inbound *in, const struct msg *m, uint16_t id); /* id: its packet's */

#endif
