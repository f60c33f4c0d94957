/* SPDX-License-Identifier: MIT */
/* setter.h - commands: a message to {topic of a point}/set writes the point.
 *
 * Owner     main thread. The broker's hands orders over (setter_orders()), a line's says when one has begun and ended.
 * Refused   unless its point is known and writable and the value fits its type, min and max; a retained one always (it
 *           would be carried out again at each reconnect).
 * Answered  each, once it has an ending (ending.h): to its sender, and as an event.
 * Kept      one that was acknowledged (QoS 1 and 2, with a ledger) is settled with the broker when its answer is safe;
 *           until then a start finds it again. How far it had come stands in begun.h: what was not begun is carried out
 *           in its time, what may have been written is not, unless the point's map allows it, and what had ended is
 *           told.
 * Fair      a line has LINE_DEPTH commands at once, the others wait here in their order, those of clients on site first;
 *           where its device does not answer, they are refused instead.
 * Bounds    SETTER_MAX at once, half of them from upstreams; beyond that the sender is held back. SETTER_SPARE places are
 *           for those that are not kept: when the disk is stuck, and nothing can be settled, a stop at QoS 0 passes.
 */
#ifndef GATEWAY_SETTER_H
#define GATEWAY_SETTER_H

#include "base/mailbox.h"
#include "broker/broker.h"
#include "drivers/driver.h"
#include "gateway/begun.h"
#include "gateway/field.h"
#include "gateway/outbox.h"

enum { SETTER_MAX = BEGUN_PLACES, SETTER_UPSTREAM = SETTER_MAX / 2, SETTER_SPARE = 32, SETTER_LINE_DEPTH = 4 };

struct setter;

struct setter_deps {
	struct field *field;
	struct outbox *outbox;
	struct broker *broker;
	struct begun *begun; /* NULL: nothing is known after a crash */
	const char *site;
	int64_t expiry_ms; /* of a command that has none of its own */
};

int setter_new(struct setter **out, struct mailbox *inbox, uint32_t letter_command, uint32_t letter_written,
	const struct clock *clock);
void setter_free(struct setter *s);                                 /* once no line runs; NULL is fine */
void setter_wire(struct setter *s, const struct setter_deps *deps); /* before the first message */
struct broker_orders setter_orders(struct setter *s);               /* the broker's thread gives orders there */

void setter_command(struct setter *s, struct letter l); /* main: the letter of a command */
void setter_drop(struct setter *s, struct letter l);    /* main, at the end: the next start finds it */
/* Main, after letters: whatever can be done now. true: come back in a while, without a letter. */
bool setter_sweep(struct setter *s);
void setter_reloaded(struct setter *s, int64_t expiry_ms); /* main: lines may be others now */
void setter_stop(struct setter *s);                        /* main: no line runs any more; what waits is answered */

#endif
