/* SPDX-License-Identifier: MIT */
/* setter.h - commands: a message to {topic of a point}/set writes the point.
 *
 * Owner     main thread. The broker's thread hands messages over with setter_take(), which only posts.
 * A command is refused unless its point is known and writable and the value fits its type, min and max; a retained one
 * always (it would be carried out again at each reconnect), an expired one too. Whoever sent it hears of the outcome:
 * at its MQTT 5 response topic with its correlation data, else at `.../set/result`. Each is told as an event as well.
 * Bounds    SETTER_MAX commands at once; beyond that the sender is held back.
 */
#ifndef GATEWAY_SETTER_H
#define GATEWAY_SETTER_H

#include "base/mailbox.h"
#include "drivers/driver.h"
#include "gateway/field.h"
#include "gateway/outbox.h"

enum { SETTER_MAX = 64 };

struct setter;

struct setter_deps {
	struct field *field;
	struct outbox *outbox;
	struct broker *broker;
	const char *site;
};

int setter_new(struct setter **out, struct mailbox *inbox, uint32_t letter_command, uint32_t letter_written,
	const struct clock *clock);
void setter_free(struct setter *s);                                 /* once no line runs; NULL is fine */
void setter_wire(struct setter *s, const struct setter_deps *deps); /* before the first message */

bool setter_take(void *setter, struct msg *m);          /* the broker's thread: a broker_tap_fn */
void setter_command(struct setter *s, struct letter l); /* main: the letter of a command */
void setter_drop(struct setter *s, struct letter l);    /* main, at the end: a command nobody answers */
void setter_sweep(struct setter *s);                    /* main: after letters: results that are there */

#endif
