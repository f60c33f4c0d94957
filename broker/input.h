/* SPDX-License-Identifier: MIT */
/* input.h - what a connection sends: read once per turn into the broker's buffer and parsed there.
 *
 * Owner     broker thread.
 * Memory    a connection owns a buffer only for a part of a packet, or for what was held. It grows with the bytes
 *           that come, not with what a header announces; opts.input_memory bounds them all together.
 */
#ifndef BROKER_INPUT_H
#define BROKER_INPUT_H

#include "broker/conn.h"

size_t input_read(struct conn *c);             /* the socket is readable; how many bytes came */
void input_read_pending(struct loop_timer *t); /* broker->pending_timer: transports that hold input of their own */
void input_forget(struct transport *t);        /* it goes; NULL is fine */
void input_sweep(struct broker *b);            /* now and then: gives up packets that take longer than packet_timeout */
/* There is time for a connection that waited unread, or was held; it is watched again. With `more` one that sends much
 * is not: it has more, says true, and is to wait for the next time. */
bool input_serve(struct conn *c, bool more);
void input_resume(struct conn *c); /* no longer held: first what was kept */
/* Held with one packet, and plain: is that all it has sent, and will? */
bool input_was_all(const struct conn *c);
void input_drop(struct conn *c); /* what was kept */

#endif
