/* SPDX-License-Identifier: MIT */
/* refusal.h - who was not let in, and why: for the operator, who otherwise sees a device that is silent.
 *
 * Owner     broker thread.
 * Told      once a minute for each address and reason (unrest.h), with the client id, the user name and the reason.
 *           Never the password.
 */
#ifndef BROKER_REFUSAL_H
#define BROKER_REFUSAL_H

#include "broker/decode.h"
#include "broker/words.h"

struct conn;

/* words: what the client hears of it; empty: the reason alone. */
void refusal_tell(const struct conn *c, const struct connect *m, uint8_t reason, const struct words *words);
void refusal_tell_hand_shake(const struct conn *c); /* of TLS, if it failed */

#endif
