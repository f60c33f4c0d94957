/* SPDX-License-Identifier: MIT */
/* words.h - reason strings: what an MQTT 5 client hears of a refusal besides its code, for the technician who reads it.
 *
 * Owner     broker thread.
 * To whom   only to clients that were let in, or whose name was proven, and only if they want problem information
 *           [MQTT-3.1.2-29]: a stranger hears the code alone. Nothing that the client does not know: no rules, no
 *           files, no addresses or names of others, no mount point.
 * Form      WORDS_MAX bytes of UTF-8 at most, names cut to fit. A packet that becomes larger than the client takes goes
 *           without [MQTT-3.2.2-19, 3.4.2-2, 3.5.2-2, 3.9.2-1, 3.14.2-3].
 */
#ifndef BROKER_WORDS_H
#define BROKER_WORDS_H

#include "base/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORDS_MAX = 200 };

struct broker;
struct conn;

struct words {
	char text[WORDS_MAX + 1]; /* empty: nothing is said */
};

struct span words_span(const struct words *w);
void words_say(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "user NAME may not VERB TOPIC"; the topic as the broker knows it, told as the client does. user NULL: anonymous. */
void words_deny(struct words *w, const struct conn *c, const char *user, const char *verb, struct span topic);
void words_filter(struct words *w, const struct conn *c, struct span filter); /* it is none, or too long or deep */
void words_absent(struct words *w, const struct conn *c, struct span group, struct span filter); /* no subscription */
/* Why a connection that is in closes. type: of the packet that was wrong, of `total` bytes; 0: none was. */
void words_goodbye(struct words *w, const struct conn *c, uint8_t reason, uint8_t type, uint32_t total);

#endif
