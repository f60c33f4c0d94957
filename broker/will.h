/* SPDX-License-Identifier: MIT */
/* will.h - the last words of a client. */
#ifndef BROKER_WILL_H
#define BROKER_WILL_H

#include "broker/decode.h"
#include "broker/session.h"

/* The will that CONNECT carries; *out NULL when there is none. 0 or -ENOMEM. */
int will_new(struct will **out, struct broker *b, const struct connect *c);
int will_of_take(
	struct will **out, struct broker *b, struct msg *m, uint32_t delay_s); /* the reference; 0 or -ENOMEM */
size_t will_bytes(const struct connect *m); /* what it would take; 0: there is none */
void will_free(struct will *w);             /* NULL is fine */
void will_publish(struct session *s); /* and forget it; what is kept lives on until it has come everywhere (owed.h) */

#endif
