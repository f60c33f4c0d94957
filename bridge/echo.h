/* SPDX-License-Identifier: MIT */
/* echo.h - what was just sent to an upstream that cannot be told `no local` (MQTT 3.1.1), so that it is known again when
 * it comes down.
 *
 * Owner     echo_sent() and echo_unsent() are for the bridge's loop thread, echo_is() for Paho's receive thread; no locks.
 * Memory    ECHO_PLACES sums of 8 bytes, each of a topic, a payload and a time. Of more than that at once the oldest of
 *           their neighbourhood are forgotten, and come down like anybody's.
 * Limits    each message that was sent is taken for its echo once, and no later than ECHO_MS after it was sent. Somebody
 *           else's message with the same topic and the same bytes within that time would be taken for it as well.
 */
#ifndef BRIDGE_ECHO_H
#define BRIDGE_ECHO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ECHO_PLACES = 16384, ECHO_NEIGHBOURS = 8, ECHO_MS = 10000 };

struct echo {
	atomic_uint_fast64_t places[ECHO_PLACES];
};

int echo_new(struct echo **out);
void echo_free(struct echo *e); /* NULL is fine */

void echo_sent(struct echo *e, const char *topic, size_t topic_len, const void *payload, size_t len, int64_t now_ms);
/* It did not go after all, and its echo will not come: what looks the same is somebody else's. */
void echo_unsent(struct echo *e, const char *topic, size_t topic_len, const void *payload, size_t len, int64_t now_ms);
bool echo_is(struct echo *e, const char *topic, size_t topic_len, const void *payload, size_t len, int64_t now_ms);

#endif
