/* SPDX-License-Identifier: MIT */
/* clients.h - who is here: every session with its connection, for people (a table) and for programs (JSON).
 *
 * Bounds    the first CLIENTS_MAX sessions; the text says how many more there are.
 */
#ifndef BROKER_CLIENTS_H
#define BROKER_CLIENTS_H

#include "broker/broker.h"

enum { CLIENTS_MAX = 10000 };

struct clients;

int clients_new(struct clients **out, bool json, broker_why_fn *done, void *ctx);
void clients_free(struct clients *q);
void clients_answer(struct broker *b, struct clients *q); /* broker thread; calls done and frees */

#endif
