/* SPDX-License-Identifier: MIT */
/* paho_session.h - what Paho is to remember of the session's QoS 2 messages, through the seam that it has for that.
 *
 * Owner     the bridge's loop thread; Paho calls what it gave out from its own threads, and paho_session_resumed() is
 *           for those.
 * A call    paho_session_hold() for each message that the last call left in flight, then the handle is made, which
 *           takes them over and sends them again once the server says that it still has the session.
 *
 * Paho would persist whole messages. The records are in the store, so what is kept (exact.h) is only which of them has
 * which id, and how far it got.
 */
#ifndef BRIDGE_PAHO_SESSION_H
#define BRIDGE_PAHO_SESSION_H

#include "base/cursor.h"
#include "bridge/exact.h"
#include "bridge/inbox.h"
#include "bridge/uplink.h"

struct paho_session;

/* exact, inbox: NULL for the way on which nothing travels at QoS 2. alloc: what Paho frees by itself. */
int paho_session_new(struct paho_session **out, struct exact *exact, struct inbox *inbox, enum bridge_version version,
	void *(*alloc)(size_t));
void paho_session_free(struct paho_session *s); /* NULL is fine */

void *paho_session_callbacks(struct paho_session *s); /* for MQTTCLIENT_PERSISTENCE_USER */

/* Between calls. */
int paho_session_hold(struct paho_session *s, const struct uplink_held *held);
void paho_session_clear(struct paho_session *s);

/* Around giving a parcel of QoS 2 to Paho. *id is written before any thread of Paho's can see the parcel. */
void paho_session_sending(struct paho_session *s, const struct parcel *parcel, uint16_t *id);
void paho_session_sent(struct paho_session *s, bool taken);

/* A PUBLISH of QoS 2 as it came, before PUBREC leaves; of one that was taken before, nothing is told. */
struct paho_received {
	uint16_t id;
	bool retain;
	struct span topic, payload; /* with MQTT 5 the payload has the properties in front */
};
typedef void paho_received_fn(void *ctx, const struct paho_received *r);
void paho_session_hear(
	struct paho_session *s, paho_received_fn *fn, void *ctx); /* before a call; fn: on Paho's thread */

/* On a thread of Paho's: the last answer to id came. true: it was one of those held. */
bool paho_session_resumed(struct paho_session *s, uint16_t id);

#endif
