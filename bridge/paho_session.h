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

#include "bridge/exact.h"
#include "bridge/uplink.h"

struct paho_session;

int paho_session_new(struct paho_session **out, struct exact *exact, enum bridge_version version,
	void *(*alloc)(size_t));                /* alloc: what Paho frees by itself */
void paho_session_free(struct paho_session *s); /* NULL is fine */

void *paho_session_callbacks(struct paho_session *s); /* for MQTTCLIENT_PERSISTENCE_USER */

/* Between calls. */
int paho_session_hold(struct paho_session *s, const struct uplink_held *held);
void paho_session_clear(struct paho_session *s);

/* Around giving a parcel of QoS 2 to Paho. *id is written before any thread of Paho's can see the parcel. */
void paho_session_sending(struct paho_session *s, const struct parcel *parcel, uint16_t *id);
void paho_session_sent(struct paho_session *s, bool taken);

/* On a thread of Paho's: the last answer to id came. true: it was one of those held. */
bool paho_session_resumed(struct paho_session *s, uint16_t id);

#endif
