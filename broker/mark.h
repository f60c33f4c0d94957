/* SPDX-License-Identifier: MIT */
/* mark.h - what the ledger has of a message on its way to a session: beside each delivery, in its queue or its window.
 *
 * Owner     broker thread.
 * QoS 1     is in the ledger from the moment it is taken until PUBACK; whether it was sent is not written down, so that a
 *           backlog drains without a write. After a restart what may have been sent goes again, with DUP.
 * QoS 2     is written with its packet id before it goes (else a restart would send it under another id, as another
 *           message), and as released before PUBREL goes (else a restart would send it again).
 */
#ifndef BROKER_MARK_H
#define BROKER_MARK_H

#include "broker/window.h"

struct broker;
struct post;
struct session;

/* What p says is now in d: in the queue, or (with an id) in the window. */
void mark_put(struct session *s, const struct delivery *d, struct mark *m, struct post *p);
/* QoS 2 moves from the queue, where it had this mark, into the window. */
void mark_sent(struct session *s, const struct delivery *d, struct mark *m);
void mark_released(struct session *s, const struct delivery *d, struct mark *m);
void mark_done(struct broker *b, struct mark *m); /* NULL is fine */

#endif
