/* SPDX-License-Identifier: MIT */
/* roll.h - what our session with an upstream is subscribed to, remembered past the end of the process.
 *
 * A session that is kept keeps its subscriptions: asking for them again is not needed, and one that the configuration no
 * longer has would go on for ever if nobody knew of it.
 *
 * Owner     the bridge's loop thread.
 * Memory    one file, DIR/roll-NAME (bridge/mapped.h), of ROLL_BYTES. What does not fit is not remembered, and asked for
 *           again by each process.
 */
#ifndef BRIDGE_ROLL_H
#define BRIDGE_ROLL_H

#include <stdbool.h>
#include <stddef.h>

#define ROLL_FILE "roll"

enum { ROLL_BYTES = 65536 };

struct roll;

int roll_open(struct roll **out, const char *dir, const char *upstream);
void roll_close(struct roll *r); /* NULL is fine */

/* The session is that of this address; of another, or of one that the server began anew, nothing is known. */
void roll_begin(struct roll *r, const char *address, bool present);

bool roll_has(const struct roll *r, const char *filter, int qos);
void roll_add(struct roll *r, const char *filter, int qos); /* in the place of the same with another QoS */
void roll_drop(struct roll *r, const char *filter);

/* Those that are there, in turn: *at begins with 0. NULL: no more. */
const char *roll_next(const struct roll *r, size_t *at);

#endif
