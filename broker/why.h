/* SPDX-License-Identifier: MIT */
/* why.h - where would a message on this topic stop on its way to this client? In words, layer by layer. */
#ifndef BROKER_WHY_H
#define BROKER_WHY_H

#include "broker/broker.h"

struct why;

int why_new(struct why **out, const char *client, const char *topic, broker_why_fn *done, void *ctx);
void why_free(struct why *w);
void why_answer(struct broker *b, struct why *w); /* broker thread; calls done and frees */

#endif
